// The driver of the suite in sdk/conformance: it makes calls of the package as
// it is told on standard input, and answers on standard output.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"unicode/utf8"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

type request struct {
	ID   int64           `json:"id"`
	Call string          `json:"call"`
	Args json.RawMessage `json:"args"`
}

type failure struct {
	Code    string `json:"code"`
	Errno   int    `json:"errno"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Type    string `json:"type"`
}

type answer struct {
	ID     int64    `json:"id"`
	Result any      `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

type driver struct {
	out sync.Mutex

	mu        sync.Mutex
	running   map[int64]context.CancelFunc
	sandboxes map[string]*microsandbox.Sandbox
	execs     map[string]*command
}

// object is the result of a call.
type object map[string]any

// call is how a call is made of its arguments.
type call func(ctx context.Context, d *driver, args json.RawMessage) (any, error)

var calls = map[string]call{}

// on registers a call with the type of its arguments.
func on[A any](name string, fn func(ctx context.Context, d *driver, args A) (any, error)) {
	calls[name] = func(ctx context.Context, d *driver, raw json.RawMessage) (any, error) {
		var args A
		if err := decode(raw, &args); err != nil {
			return nil, &microsandbox.Error{Kind: microsandbox.ErrInvalidConfig, CodeName: "invalid",
				Code: 2, Message: fmt.Sprintf("%s: %v", name, err)}
		}
		return fn(ctx, d, args)
	}
}

// decode is strict: what is not known is refused, and so is what is left out
// without a "?" in its tag.
func decode(raw json.RawMessage, to any) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return err
	}
	t := reflect.TypeOf(to).Elem()
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		field := t.Field(i)
		if _, ok := given[field.Tag.Get("json")]; !ok && field.Tag.Get("need") != "" {
			return fmt.Errorf("no %s", field.Tag.Get("json"))
		}
	}
	return nil
}

// data is bytes in JSON: a string, or an object with base64.
type data []byte

func (b data) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return json.Marshal(string(b))
	}
	return json.Marshal(object{"base64": base64.StdEncoding.EncodeToString(b)})
}

func (b *data) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*b = data(text)
		return nil
	}
	var coded struct{ Base64 *string }
	if err := json.Unmarshal(raw, &coded); err != nil || coded.Base64 == nil {
		return errors.New("bytes are a text, or {base64}")
	}
	out, err := base64.StdEncoding.DecodeString(*coded.Base64)
	*b = out
	return err
}

func explain(err error) *failure {
	var e *microsandbox.Error
	if errors.As(err, &e) {
		return &failure{Code: e.CodeName, Errno: e.Errno, Message: e.Message, Hint: e.Hint,
			Type: "Err" + e.Kind.String()}
	}
	return &failure{Code: "internal", Message: err.Error(), Type: fmt.Sprintf("%T", err)}
}

func (d *driver) send(a answer) {
	line, err := json.Marshal(a)
	if err != nil {
		line, _ = json.Marshal(answer{ID: a.ID, Error: explain(err)})
	}
	d.out.Lock()
	defer d.out.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

func (d *driver) work(ctx context.Context, r request) {
	fn, ok := calls[r.Call]
	if !ok {
		d.send(answer{ID: r.ID, Error: &failure{Code: "unsupported", Message: "there is no call " + r.Call}})
		return
	}
	result, err := fn(ctx, d, r.Args)
	switch {
	case err != nil:
		d.send(answer{ID: r.ID, Error: explain(err)})
	case result == nil:
		d.send(answer{ID: r.ID, Result: object{}})
	default:
		d.send(answer{ID: r.ID, Result: result})
	}
}

func (d *driver) start(line []byte, all *sync.WaitGroup) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		d.send(answer{Error: explain(err)})
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.mu.Lock()
	d.running[r.ID] = cancel
	d.mu.Unlock()
	all.Add(1)
	go func() {
		defer all.Done()
		defer func() {
			d.mu.Lock()
			delete(d.running, r.ID)
			d.mu.Unlock()
			cancel()
		}()
		d.work(ctx, r)
	}()
}

func main() {
	d := &driver{running: map[int64]context.CancelFunc{}, sandboxes: map[string]*microsandbox.Sandbox{},
		execs: map[string]*command{}}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	var all sync.WaitGroup
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			d.start(line, &all)
		}
		if err != nil {
			if err != io.EOF {
				fmt.Fprintln(os.Stderr, err)
			}
			break
		}
	}
	d.mu.Lock()
	for _, cancel := range d.running {
		cancel()
	}
	d.mu.Unlock()
	all.Wait()
	for _, x := range d.execs {
		x.handle.Close()
	}
	for _, sb := range d.sandboxes {
		sb.Close()
	}
}
