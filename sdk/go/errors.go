package microsandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrorKind says what sort of thing went wrong. Each kind is an error itself,
// so that both of these work:
//
//	errors.Is(err, microsandbox.ErrNotFound)
//	microsandbox.IsKind(err, microsandbox.ErrNotFound)
//
// Kinds form two levels: ErrSandboxNotFound is also an ErrNotFound.
type ErrorKind int

// One kind for each code of the C library.
const (
	// ErrInternal is a fault of the library.
	ErrInternal ErrorKind = 1 + iota
	// ErrInvalidConfig is a wrong argument, option or configuration file.
	ErrInvalidConfig
	// ErrNotFound is something that is not there: an image, a file, a sandbox.
	ErrNotFound
	// ErrAlreadyExists is a name that is taken.
	ErrAlreadyExists
	// ErrBusy is something in use, or a sandbox that still runs.
	ErrBusy
	// ErrNoMemory is memory that the host does not have.
	ErrNoMemory
	// ErrNoSpace is a full disk, or a quota.
	ErrNoSpace
	// ErrIO is a failure of the host's, or the guest's, files and sockets.
	ErrIO
	// ErrPermission is something that the host, or the guest, does not allow.
	ErrPermission
	// ErrUnsupported is something that is not possible here.
	ErrUnsupported
	// ErrTimeout is a time limit that passed.
	ErrTimeout
	// ErrCancelled is a call whose context ended.
	ErrCancelled
	// ErrAuth is a registry that wants other credentials.
	ErrAuth
	// ErrNetwork is a registry that cannot be reached.
	ErrNetwork
	// ErrDigest is content that is not what it claims to be.
	ErrDigest
	// ErrInstall is a missing part of the installation.
	ErrInstall
	// ErrBoot is a machine that did not get ready. Error.Console has its last words.
	ErrBoot
	// ErrGone is a machine that has ended.
	ErrGone
	// ErrProtocol is another side that broke the protocol.
	ErrProtocol
	// ErrExecFailed is a command that never ran.
	ErrExecFailed
)

// Kinds that say more than a code does.
const (
	// ErrUnknown is a code that this version does not know.
	ErrUnknown ErrorKind = 100 + iota
	// ErrSandboxNotFound is an ErrNotFound.
	ErrSandboxNotFound
	// ErrImageNotFound is an ErrNotFound.
	ErrImageNotFound
	// ErrVolumeNotFound is an ErrNotFound.
	ErrVolumeNotFound
	// ErrSnapshotNotFound is an ErrNotFound.
	ErrSnapshotNotFound
	// ErrPathNotFound is an ErrNotFound: a path in a guest.
	ErrPathNotFound
	// ErrSandboxAlreadyExists is an ErrAlreadyExists.
	ErrSandboxAlreadyExists
	// ErrVolumeAlreadyExists is an ErrAlreadyExists.
	ErrVolumeAlreadyExists
	// ErrSnapshotAlreadyExists is an ErrAlreadyExists.
	ErrSnapshotAlreadyExists
	// ErrSandboxStillRunning is an ErrBusy.
	ErrSandboxStillRunning
	// ErrSnapshotSandboxRunning is an ErrBusy.
	ErrSnapshotSandboxRunning
	// ErrImageInUse is an ErrBusy.
	ErrImageInUse
	// ErrVolumeInUse is an ErrBusy.
	ErrVolumeInUse
	// ErrExecTimeout is an ErrTimeout: a command that was killed for it.
	ErrExecTimeout
	// ErrSnapshotIntegrity is an ErrDigest.
	ErrSnapshotIntegrity
	// ErrLibraryNotLoaded is an ErrInstall: libmicrosandbox was not found.
	ErrLibraryNotLoaded
	// ErrInvalidHandle is an ErrInvalidConfig: the handle was closed, or belongs
	// to another process.
	ErrInvalidHandle
)

// Other names of the same kinds.
const (
	ErrInvalidArgument      = ErrInvalidConfig
	ErrSandboxNotRunning    = ErrGone
	ErrUnsupportedOperation = ErrUnsupported
)

var kinds = map[ErrorKind]struct {
	parent ErrorKind
	name   string
	text   string
}{
	ErrInternal:              {0, "Internal", "internal error"},
	ErrInvalidConfig:         {0, "InvalidConfig", "invalid argument"},
	ErrNotFound:              {0, "NotFound", "not found"},
	ErrAlreadyExists:         {0, "AlreadyExists", "already exists"},
	ErrBusy:                  {0, "Busy", "busy"},
	ErrNoMemory:              {0, "NoMemory", "not enough memory"},
	ErrNoSpace:               {0, "NoSpace", "no space left"},
	ErrIO:                    {0, "IO", "input/output error"},
	ErrPermission:            {0, "Permission", "permission denied"},
	ErrUnsupported:           {0, "Unsupported", "not supported"},
	ErrTimeout:               {0, "Timeout", "timed out"},
	ErrCancelled:             {0, "Cancelled", "cancelled"},
	ErrAuth:                  {0, "Auth", "the registry refused the credentials"},
	ErrNetwork:               {0, "Network", "network error"},
	ErrDigest:                {0, "Digest", "content does not match its digest"},
	ErrInstall:               {0, "Install", "a part of the installation is missing"},
	ErrBoot:                  {0, "Boot", "the machine did not get ready"},
	ErrGone:                  {0, "SandboxNotRunning", "the sandbox has ended"},
	ErrProtocol:              {0, "Protocol", "protocol error"},
	ErrExecFailed:            {0, "ExecFailed", "the command could not be run"},
	ErrUnknown:               {0, "Unknown", "unknown error"},
	ErrSandboxNotFound:       {ErrNotFound, "SandboxNotFound", "sandbox not found"},
	ErrImageNotFound:         {ErrNotFound, "ImageNotFound", "image not found"},
	ErrVolumeNotFound:        {ErrNotFound, "VolumeNotFound", "volume not found"},
	ErrSnapshotNotFound:      {ErrNotFound, "SnapshotNotFound", "snapshot not found"},
	ErrPathNotFound:          {ErrNotFound, "PathNotFound", "path not found"},
	ErrSandboxAlreadyExists:  {ErrAlreadyExists, "SandboxAlreadyExists", "sandbox already exists"},
	ErrVolumeAlreadyExists:   {ErrAlreadyExists, "VolumeAlreadyExists", "volume already exists"},
	ErrSnapshotAlreadyExists: {ErrAlreadyExists, "SnapshotAlreadyExists", "snapshot already exists"},
	ErrSandboxStillRunning:   {ErrBusy, "SandboxStillRunning", "sandbox still runs"},
	ErrSnapshotSandboxRunning: {ErrBusy, "SnapshotSandboxRunning",
		"sandbox runs, and cannot become a snapshot"},
	ErrImageInUse:        {ErrBusy, "ImageInUse", "image is in use"},
	ErrVolumeInUse:       {ErrBusy, "VolumeInUse", "volume is in use"},
	ErrExecTimeout:       {ErrTimeout, "ExecTimeout", "the command's time limit passed"},
	ErrSnapshotIntegrity: {ErrDigest, "SnapshotIntegrity", "snapshot is damaged"},
	ErrLibraryNotLoaded:  {ErrInstall, "LibraryNotLoaded", "libmicrosandbox is not there"},
	ErrInvalidHandle:     {ErrInvalidConfig, "InvalidHandle", "handle is closed"},
}

// String is the kind's name, as "SandboxNotFound".
func (k ErrorKind) String() string {
	if kind, ok := kinds[k]; ok {
		return kind.name
	}
	return "Unknown"
}

// Error makes a kind an error, for errors.Is.
func (k ErrorKind) Error() string {
	if kind, ok := kinds[k]; ok {
		return kind.text
	}
	return "unknown error"
}

// Is says whether this kind is, or belongs to, the kind target.
func (k ErrorKind) Is(target error) bool {
	want, ok := target.(ErrorKind)
	return ok && k.within(want)
}

func (k ErrorKind) within(want ErrorKind) bool {
	return k == want || kinds[k].parent == want && want != 0
}

// base is the kind of the C code that this kind belongs to.
func (k ErrorKind) base() ErrorKind {
	if p := kinds[k].parent; p != 0 {
		return p
	}
	return k
}

// Error is what every failed call of this package returns.
type Error struct {
	// Kind is the most special kind that is known.
	Kind ErrorKind
	// Code is the number of the C library's enum msb_code, and CodeName its name,
	// as "not_found".
	Code     int
	CodeName string
	// Errno is the system's error number, of the host or of the guest; or 0.
	Errno int
	// Message says what failed, Hint what to do next; Hint may be empty.
	Message string
	Hint    string
	// Stage says where a command failed before it ran: user, cwd, rlimit, pty,
	// exec or fork. Only of ErrExecFailed, and where it is known.
	Stage string
	// Console has the last lines of the console of a machine that failed to boot.
	Console string
	// Cause is what is below: of a cancelled call its context's error.
	Cause error
}

// Error is the message, with its hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("microsandbox: ")
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	default:
		b.WriteString(e.Kind.Error())
	}
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteString(")")
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is says whether this error is of the kind target. A call that ended with the
// deadline of its context is an ErrTimeout, and an ErrCancelled, too.
func (e *Error) Is(target error) bool {
	want, ok := target.(ErrorKind)
	if !ok {
		return false
	}
	return e.Kind.within(want) || want == ErrCancelled && errors.Is(e.Cause, context.DeadlineExceeded)
}

// IsKind says whether err is, or wraps, an error of this kind.
func IsKind(err error, kind ErrorKind) bool {
	return err != nil && errors.Is(err, kind)
}

// fail makes an error of this package's own.
func fail(kind ErrorKind, format string, args ...any) *Error {
	code := kind.base()
	return &Error{Kind: kind, Code: int(code), CodeName: codeNames[code],
		Message: fmt.Sprintf(format, args...)}
}

// codeNames is msb_code_name() where there may be no library to ask.
var codeNames = map[ErrorKind]string{
	ErrInternal: "internal", ErrInvalidConfig: "invalid", ErrNotFound: "not_found",
	ErrAlreadyExists: "exists", ErrBusy: "busy", ErrNoMemory: "no_memory",
	ErrNoSpace: "no_space", ErrIO: "io", ErrPermission: "permission",
	ErrUnsupported: "unsupported", ErrTimeout: "timeout", ErrCancelled: "cancelled",
	ErrAuth: "auth", ErrNetwork: "network", ErrDigest: "digest", ErrInstall: "install",
	ErrBoot: "boot", ErrGone: "gone", ErrProtocol: "protocol", ErrExecFailed: "exec",
}

// cancelled is the error of a call whose context has ended.
func cancelled(ctx context.Context) *Error {
	e := fail(ErrCancelled, "the call was cancelled")
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e = fail(ErrTimeout, "the call took longer than its context allows")
	}
	e.Cause = ctx.Err()
	return e
}
