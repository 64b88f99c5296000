package microsandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	msb "github.com/microsandbox/microsandbox-c/sdk/go"
)

// dial reads all that a port of this host says; the server may still start.
func dial(t *testing.T, port uint16) string {
	t.Helper()
	for range 600 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			out, err := io.ReadAll(conn)
			conn.Close()
			if err == nil && len(out) > 0 {
				return string(out)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ""
}

func TestEvents(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ExecStream(ctx, "sh", []string{"-c", "echo one; read a; echo got $a >&2; exit 5"}, msb.WithExecStdinPipe()))(t)
	defer x.Close()
	in := x.TakeStdin()
	same(t, x.TakeStdin() == nil && x.Session() != 0 && !x.IsTTY(), true)
	var story []string
	x.Events(ctx)(func(ev *msb.ExecEvent, err error) bool {
		fine(t, err)
		text := fmt.Sprint(ev.Kind, " ", string(ev.Data), ev.ExitCode)
		if ev.Kind == msb.ExecEventStarted {
			same(t, ev.PID > 1, true)
		}
		if ev.Kind == msb.ExecEventStdout {
			must(in.Write([]byte("two\n")))(t)
			fine(t, in.Close())
		}
		story = append(story, text)
		return true
	})
	same(t, strings.Join(story, "|"), "started 0|stdout one\n0|stderr got two\n0|exited 5")
	for range 2 {
		same(t, must(x.Recv(ctx))(t).Kind, msb.ExecEventDone)
	}
	if _, err := in.Write([]byte("late")); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	same(t, must(x.Wait(ctx))(t), 5)
}

func TestFailedStream(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ExecStream(ctx, "no-such-program", nil))(t)
	defer x.Close()
	ev := must(x.Recv(ctx))(t)
	same(t, ev.Kind == msb.ExecEventFailed && ev.Failure.Stage == "exec" && ev.Failure.Errno == 2, true)
	same(t, must(x.Recv(ctx))(t).Kind, msb.ExecEventDone)
	_, err := x.Wait(ctx)
	wantKind(t, err, msb.ErrExecFailed)
	x = must(sb.ExecStream(ctx, "no-such-program", nil))(t)
	defer x.Close()
	_, err = io.ReadAll(x.Stdout())
	wantKind(t, err, msb.ErrExecFailed)
}

func TestPipes(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ShellStream(ctx, "cat | tee /dev/stderr; echo end", msb.WithExecStdinPipe()))(t)
	defer x.Close()
	want := bytes.Repeat([]byte("0123456789abcde\n"), 200_000)
	go func() {
		in := x.TakeStdin()
		if _, err := io.Copy(in, bytes.NewReader(want)); err != nil {
			t.Error(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}()
	stderr := make(chan []byte)
	errs := x.Stderr()
	go func() {
		got, err := io.ReadAll(errs)
		if err != nil {
			t.Error(err)
		}
		stderr <- got
	}()
	got := must(io.ReadAll(x.Stdout()))(t)
	same(t, string(got) == string(want)+"end\n", true)
	same(t, bytes.Equal(<-stderr, want), true)
	same(t, must(x.Wait(ctx))(t), 0)
}

// Nobody reads: the command waits; who then waits for its end drops all.
func TestOutputThatNobodyReads(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ShellStream(ctx, "head -c 8000000 /dev/zero; echo all > /tmp/all; exit 4"))(t)
	defer x.Close()
	time.Sleep(700 * time.Millisecond)
	same(t, must(sb.FS().Exists(ctx, "/tmp/all"))(t), false)
	same(t, must(x.Wait(ctx))(t), 4)
	same(t, must(sb.FS().Exists(ctx, "/tmp/all"))(t), true)

	x = must(sb.ShellStream(ctx, "head -c 3000000 /dev/zero >&2; echo done"))(t)
	defer x.Close()
	same(t, string(must(io.ReadAll(x.Stdout()))(t)), "done\n")
	r := x.Stderr()
	fine(t, r.Close())
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
}

func TestCollect(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ShellStream(ctx, "seq 100000; echo err >&2; kill -15 $$", msb.WithExecStdin([]byte("unused"))))(t)
	defer x.Close()
	out := must(x.Collect(ctx))(t)
	same(t, strings.Count(out.Stdout(), "\n"), 100000)
	same(t, out.Stderr() == "err\n" && out.Signal() == 15 && out.ExitCode() == 143 && !out.Success(), true)
	x = must(sb.ShellStream(ctx, "cat", msb.WithExecStdin([]byte("all of it"))))(t)
	defer x.Close()
	same(t, must(x.Collect(ctx))(t).Stdout(), "all of it")
}

func TestSignalsAndTerminal(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ShellStream(ctx, "stty size; read a; stty size", msb.WithExecTTY(), msb.WithExecSize(33, 101), msb.WithExecStdinPipe()))(t)
	defer x.Close()
	same(t, x.IsTTY(), true)
	for {
		if ev := must(x.Recv(ctx))(t); strings.Contains(string(ev.Data), "33 101") {
			break
		}
	}
	fine(t, x.Resize(ctx, 44, 120))
	must(x.TakeStdin().Write([]byte("\n")))(t)
	out := must(x.Collect(ctx))(t)
	same(t, strings.Contains(out.Stdout(), "44 120"), true)

	x = must(sb.ExecStream(ctx, "sleep", []string{"1000"}))(t)
	defer x.Close()
	same(t, must(x.Recv(ctx))(t).Kind, msb.ExecEventStarted)
	wantKind(t, x.Signal(ctx, 0), msb.ErrInvalidConfig)
	wantKind(t, x.Signal(ctx, 1000), msb.ErrInvalidConfig)
	fine(t, x.Signal(ctx, 15))
	same(t, must(x.Wait(ctx))(t), 143)

	x = must(sb.ExecStream(ctx, "sleep", []string{"1000"}, msb.WithExecTimeout(200*time.Millisecond)))(t)
	defer x.Close()
	_, err := x.Wait(ctx)
	wantKind(t, err, msb.ErrExecTimeout)
}

// alive says whether a sleep of so many seconds runs in the guest.
func alive(t *testing.T, sb *msb.Sandbox, seconds string) bool {
	t.Helper()
	out, err := sb.Shell(context.Background(), "ps | grep '[s]leep "+seconds+"' | wc -l")
	fine(t, err)
	return out.Stdout() != "0\n"
}

func soon(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for range 1200 {
		if fn() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("not in time: " + what)
}

func TestCloseKillsAndDetachDoesNot(t *testing.T) {
	sb, ctx := box(t), limit(t)
	x := must(sb.ExecStream(ctx, "sleep", []string{"1111"}))(t)
	soon(t, "a start", func() bool { return alive(t, sb, "1111") })
	waiting := make(chan error, 1)
	go func() {
		_, err := x.Wait(ctx)
		waiting <- err
	}()
	time.Sleep(50 * time.Millisecond)
	fine(t, x.Close())
	wantKind(t, <-waiting, msb.ErrInvalidHandle)
	soon(t, "an end", func() bool { return !alive(t, sb, "1111") })
	fine(t, x.Close())
	wantKind(t, x.Kill(ctx), msb.ErrInvalidHandle)

	x = must(sb.ShellStream(ctx, "sleep 2222"))(t)
	soon(t, "another start", func() bool { return alive(t, sb, "2222") })
	fine(t, x.Detach(ctx))
	session := x.Session()
	fine(t, x.Close())
	same(t, alive(t, sb, "2222"), true)
	x = must(sb.AttachSession(ctx, session))(t)
	defer x.Close()
	fine(t, x.Kill(ctx))
	same(t, must(x.Wait(ctx))(t), 137)
	_, err := sb.AttachSession(ctx, 12345)
	wantKind(t, err, msb.ErrNotFound)
}

func TestCancelledCommands(t *testing.T) {
	sb := box(t)
	// Each says when it is about to wait: what comes before may take its time.
	for name, fn := range map[string]func(ctx context.Context, waits func()) error{
		"exec": func(ctx context.Context, waits func()) error {
			waits()
			_, err := sb.Exec(ctx, "sleep", []string{"3333"})
			return err
		},
		"receive": func(ctx context.Context, waits func()) error {
			x := must(sb.ExecStream(ctx, "sleep", []string{"3333"}))(t)
			defer x.Close()
			must(x.Recv(ctx))(t)
			waits()
			_, err := x.Recv(ctx)
			return err
		},
		"wait": func(ctx context.Context, waits func()) error {
			x := must(sb.ExecStream(ctx, "sleep", []string{"3333"}))(t)
			defer x.Close()
			waits()
			_, err := x.Wait(ctx)
			return err
		},
		"write": func(ctx context.Context, waits func()) error {
			x := must(sb.ExecStream(ctx, "sleep", []string{"3333"}, msb.WithExecStdinPipe()))(t)
			defer x.Close()
			waits()
			_, err := x.TakeStdin().WriteContext(ctx, make([]byte, 32<<20))
			return err
		},
		"end": func(ctx context.Context, waits func()) error {
			waits()
			return sb.Wait(ctx)
		},
		"logs": func(ctx context.Context, waits func()) error {
			stream := must(sb.LogStream(ctx, msb.LogOptions{Since: time.Now().Add(time.Hour)}))(t)
			defer stream.Close()
			waits()
			_, err := stream.Recv(ctx)
			return err
		},
		"metrics": func(ctx context.Context, waits func()) error {
			stream := must(sb.MetricsStream(ctx, time.Hour))(t)
			defer stream.Close()
			must(stream.Recv(ctx))(t)
			waits()
			_, err := stream.Recv(ctx)
			return err
		},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		var at time.Time
		err := fn(ctx, func() { time.AfterFunc(700*time.Millisecond, func() { at = time.Now(); cancel() }) })
		cancel()
		if !errors.Is(err, context.Canceled) || !msb.IsKind(err, msb.ErrCancelled) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if took := time.Since(at); took > 15*time.Second {
			t.Errorf("%s: it took %v to cancel", name, took)
		}
		soon(t, name+": an end", func() bool { return !alive(t, sb, "3333") })
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := sb.Exec(done, "true", nil)
	wantKind(t, err, msb.ErrCancelled)
	must(sb.Exec(limit(t), "true", nil))(t)
}
