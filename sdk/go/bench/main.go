// A hook of the benchmarks: how long Exec of "true" takes in a sandbox that
// runs, MSB_BENCH_SANDBOX, as JSON on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

const rounds = 200

func run() error {
	n := rounds
	if text := os.Getenv("MSB_BENCH_N"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sb, err := microsandbox.ConnectSandbox(ctx, os.Getenv("MSB_BENCH_SANDBOX"))
	if err != nil {
		return err
	}
	defer sb.Close()
	times := make([]float64, 0, n)
	for i := -10; i < n; i++ { // ten to get warm
		start := time.Now()
		out, err := sb.Exec(ctx, "true", nil)
		if err != nil {
			return err
		}
		if !out.Success() {
			return fmt.Errorf("true ended with %d", out.ExitCode())
		}
		if i >= 0 {
			times = append(times, float64(time.Since(start).Nanoseconds())/1000)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"exec_us": times})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
