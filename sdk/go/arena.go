package microsandbox

/*
#include <stdlib.h>
#include <string.h>
#include "msb_api.h"
*/
import "C"

import (
	"math"
	"sort"
	"strings"
	"time"
	"unsafe"
)

const arenaSize = 4096

// arena is memory of C for the arguments of one call, which may point to each
// other; Go memory must not be given to C with pointers in it.
type arena struct {
	base unsafe.Pointer
	used uintptr
	more []unsafe.Pointer
	size []uintptr // of more
	wipe bool      // secrets were put here
	err  error     // the first wrong argument
}

// alloc gives n bytes, all zero.
func (a *arena) alloc(n uintptr) unsafe.Pointer {
	if a.base == nil {
		a.base = C.malloc(arenaSize) // never nil: cgo ends the program first
	}
	n = (n + 15) &^ 15
	if n > arenaSize-a.used {
		p := C.calloc(1, C.size_t(n))
		if p == nil {
			panic("microsandbox: out of memory")
		}
		a.more = append(a.more, p)
		a.size = append(a.size, n)
		return p
	}
	p := unsafe.Add(a.base, a.used)
	a.used += n
	clear(unsafe.Slice((*byte)(p), n))
	return p
}

func (a *arena) reset() {
	if a.wipe && a.base != nil {
		clear(unsafe.Slice((*byte)(a.base), a.used))
	}
	for i, p := range a.more {
		if a.wipe {
			C.explicit_bzero(p, C.size_t(a.size[i]))
		}
		C.free(p)
	}
	*a = arena{base: a.base, more: a.more[:0], size: a.size[:0]}
}

func (a *arena) free() {
	a.reset()
	C.free(a.base)
	a.base = nil
}

// bad remembers the first wrong argument.
func (a *arena) bad(format string, args ...any) {
	if a.err == nil {
		a.err = fail(ErrInvalidConfig, format, args...)
	}
}

// str copies a string. C would end it at a NUL byte, so that is refused.
func (a *arena) str(what, s string) *C.char {
	if strings.IndexByte(s, 0) >= 0 {
		a.bad("%s has a NUL byte in it", what)
		return nil
	}
	p := a.alloc(uintptr(len(s)) + 1)
	copy(unsafe.Slice((*byte)(p), len(s)), s)
	return (*C.char)(p)
}

// opt is str for what may be left out: NULL for "".
func (a *arena) opt(what, s string) *C.char {
	if s == "" {
		return nil
	}
	return a.str(what, s)
}

// ptr is str for a pointer: NULL for nil, and "" is a value.
func (a *arena) ptr(what string, s *string) *C.char {
	if s == nil {
		return nil
	}
	return a.str(what, *s)
}

// bytes copies data that may hold anything.
func (a *arena) bytes(data []byte) unsafe.Pointer {
	p := a.alloc(uintptr(len(data)) + 1)
	copy(unsafe.Slice((*byte)(p), len(data)), data)
	return p
}

// strs is a list of strings that ends with NULL; NULL for an empty one.
func (a *arena) strs(what string, list []string) **C.char {
	if len(list) == 0 {
		return nil
	}
	return a.list(what, list)
}

// list is strs that is a list of none when it is empty.
func (a *arena) list(what string, list []string) **C.char {
	p := a.pointers(len(list))
	for i, s := range list {
		p[i] = unsafe.Pointer(a.str(what, s))
	}
	return (**C.char)(unsafe.Pointer(unsafe.SliceData(p)))
}

// pointers is room for n pointers and the NULL behind them.
func (a *arena) pointers(n int) []unsafe.Pointer {
	p := a.alloc(uintptr(n+1) * unsafe.Sizeof(uintptr(0)))
	return unsafe.Slice((*unsafe.Pointer)(p), n+1)
}

// pairs is a map as KEY=VALUE, in the order of the keys.
func (a *arena) pairs(what string, m map[string]string) **C.char {
	if len(m) == 0 {
		return nil
	}
	return a.list(what, a.joined(what, m))
}

func (a *arena) joined(what string, m map[string]string) []string {
	list := make([]string, 0, len(m))
	for _, k := range sortedKeys(m) {
		if k == "" || strings.IndexByte(k, '=') >= 0 {
			a.bad("%s: %q cannot be a name", what, k)
		}
		list = append(list, k+"="+m[k])
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// millis is a time span for C, rounded up: 0 for none.
func (a *arena) millis(what string, d time.Duration) C.uint32_t {
	if d < 0 {
		a.bad("%s: %v is negative", what, d)
		return 0
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	if ms > math.MaxUint32 {
		a.bad("%s: %v is too long", what, d)
		return 0
	}
	return C.uint32_t(ms)
}

// seconds is the same for limits that are counted in seconds.
func (a *arena) seconds(what string, d time.Duration) C.uint32_t {
	if d < 0 {
		a.bad("%s: %v is negative", what, d)
		return 0
	}
	s := (d + time.Second - 1) / time.Second
	if s > math.MaxUint32 {
		a.bad("%s: %v is too long", what, d)
		return 0
	}
	return C.uint32_t(s)
}

// waitMillis is a time to wait, as an int: no limit for 0 and less.
func waitMillis(d time.Duration) C.int {
	if d <= 0 {
		return -1
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	if ms > math.MaxInt32 {
		return math.MaxInt32
	}
	return C.int(ms)
}

func boolInt(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// goStrings copies a list of C that ends with NULL.
func goStrings(list **C.char) []string {
	out := []string{}
	if list == nil {
		return out
	}
	for i := 0; ; i++ {
		p := *(**C.char)(unsafe.Add(unsafe.Pointer(list), uintptr(i)*unsafe.Sizeof(uintptr(0))))
		if p == nil {
			return out
		}
		out = append(out, C.GoString(p))
	}
}

// goPairs is a list of KEY=VALUE as a map.
func goPairs(list **C.char) map[string]string {
	out := map[string]string{}
	for _, s := range goStrings(list) {
		k, v, _ := strings.Cut(s, "=")
		out[k] = v
	}
	return out
}

// goBytes copies memory of any length; C.GoBytes takes no more than an int32.
func goBytes(p unsafe.Pointer, n C.size_t) []byte {
	out := make([]byte, int(n))
	if n > 0 {
		copy(out, unsafe.Slice((*byte)(p), int(n)))
	}
	return out
}
