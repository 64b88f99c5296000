// Go's net/http, as it is: tlsclient URL AUTHORIZATION [h1]
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	rq, err := http.NewRequest("GET", os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	rq.Header.Set("Authorization", os.Args[2])
	client := http.DefaultClient
	if len(os.Args) > 3 {
		client = &http.Client{Transport: &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}}
	}
	rs, err := client.Do(rq)
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(rs.Body)
	fmt.Println(rs.StatusCode, rs.Proto, string(body))
}
