package microsandbox

/*
#cgo CFLAGS: -std=gnu17 -O2
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Version is the version of this package.
const Version = "0.1.0"

// LibraryVariable names the environment variable with the path of the library.
const LibraryVariable = "MICROSANDBOX_LIBRARY"

const soname = "libmicrosandbox.so.0"

// library is what was opened, once for the process and for good.
var library struct {
	sync.Mutex
	ready atomic.Bool
	path  string // by SetLibraryPath
	found string
}

// SetLibraryPath says where libmicrosandbox is, in place of the search that
// package documentation describes. It has to come before everything else:
// ErrBusy when the library was opened already.
func SetLibraryPath(path string) error {
	library.Lock()
	defer library.Unlock()
	if library.ready.Load() {
		return fail(ErrBusy, "the library is open already: %s", library.found)
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fail(ErrInvalidConfig, "the library's path has a NUL byte in it")
	}
	library.path = path
	return nil
}

// LibraryPath is the path that the library was opened by; "" before that.
func LibraryPath() string {
	library.Lock()
	defer library.Unlock()
	return library.found
}

// places lists where the library may be, best first; the second result says
// that somebody named the place, so that there is no other.
func places() ([]string, bool) {
	if library.path != "" {
		return []string{library.path}, true
	}
	if path := os.Getenv(LibraryVariable); path != "" {
		return []string{path}, true
	}
	var all []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		for _, p := range []string{filepath.Join(dir, "runtime", soname), filepath.Join(dir, soname)} {
			if _, err := os.Stat(p); err == nil {
				all = append(all, p)
			}
		}
	}
	all = append(all, soname)
	for _, dir := range []string{"/usr/local/lib", "/usr/local/lib/" + triplet(), "/usr/local/lib64"} {
		p := filepath.Join(dir, soname)
		if _, err := os.Stat(p); err == nil {
			all = append(all, p)
		}
	}
	return all, false
}

func triplet() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

func open(path string) (bool, string) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var message [512]C.char
	if C.msbgo_load(cpath, &message[0], C.size_t(len(message))) == 0 {
		return true, ""
	}
	return false, C.GoString(&message[0])
}

// load opens the library if that was not done yet.
func load() error {
	if library.ready.Load() {
		return nil
	}
	library.Lock()
	defer library.Unlock()
	if library.ready.Load() {
		return nil
	}
	candidates, named := places()
	var why []string
	for _, p := range candidates {
		if strings.IndexByte(p, 0) >= 0 {
			continue
		}
		ok, message := open(p)
		if ok {
			library.found = p
			library.ready.Store(true)
			return nil
		}
		why = append(why, message)
	}
	e := fail(ErrLibraryNotLoaded, "libmicrosandbox cannot be opened: %s", strings.Join(why, "; "))
	e.Hint = "install it (make install), or set " + LibraryVariable + " to the path of " + soname
	if named {
		e.Hint = "see " + LibraryVariable + " and SetLibraryPath: they name this file"
	}
	return e
}

// IsInstalled says whether the library can be opened and finds all that it
// needs to run a sandbox on this host.
func IsInstalled() bool { return EnsureInstalled(context.Background()) == nil }

// EnsureInstalled opens the library and looks at this host: nil when sandboxes
// can run. It is not needed before other calls, which fail with the same
// errors: ErrLibraryNotLoaded when there is no library, ErrInstall with what to
// do when something else is missing. Nothing is downloaded.
func EnsureInstalled(ctx context.Context) error {
	checks, err := Doctor(ctx)
	if err != nil {
		return err
	}
	for _, c := range checks {
		if c.Status == CheckFail {
			e := fail(ErrInstall, "%s: %s", c.Name, c.Message)
			e.Hint = c.Fix
			return e
		}
	}
	return nil
}

// SDKVersion is the version of this package.
func SDKVersion() string { return Version }

// RuntimeVersion is the version of the library that was opened.
func RuntimeVersion() (string, error) {
	if err := load(); err != nil {
		return "", err
	}
	return C.GoString(C.msb_version()), nil
}
