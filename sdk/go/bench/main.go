// A hook of the benchmarks: for each line of standard input, which is a
// count, Exec of "true" that often in the sandbox MSB_BENCH_SANDBOX, which
// runs; answered by a line {"exec_us": [...]}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

func execs(ctx context.Context, sb *microsandbox.Sandbox, n int) ([]float64, error) {
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		out, err := sb.Exec(ctx, "true", nil)
		if err != nil {
			return nil, err
		}
		times[i] = float64(time.Since(start).Nanoseconds()) / 1000
		if !out.Success() {
			return nil, fmt.Errorf("true ended with %d", out.ExitCode())
		}
	}
	return times, nil
}

func run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sb, err := microsandbox.ConnectSandbox(ctx, os.Getenv("MSB_BENCH_SANDBOX"))
	if err != nil {
		return err
	}
	defer sb.Close()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		times, err := execs(ctx, sb, n)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"exec_us": times}); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
