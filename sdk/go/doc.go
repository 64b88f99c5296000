// Package microsandbox runs commands in their own small virtual machines.
//
//	sb, err := microsandbox.CreateSandbox(ctx, "box", microsandbox.WithImage("python:3.12"),
//		microsandbox.WithCPUs(1), microsandbox.WithMemory(512))
//	defer sb.Close()
//	out, err := sb.Exec(ctx, "python3", []string{"-c", "print(1 + 1)"})
//	fmt.Print(out.Stdout(), out.ExitCode())
//
// It binds libmicrosandbox, which it opens when the first call needs it: the
// file that SetLibraryPath or the variable MICROSANDBOX_LIBRARY names; else
// runtime/libmicrosandbox.so.0 or libmicrosandbox.so.0 in the folder of the
// program; else the system's. Where there is none, calls give
// ErrLibraryNotLoaded.
//
// All calls that wait take a context, and end soon after it does. Handles may be
// used by many goroutines at once, closed in any order, and forgotten.
//
// Failures are of type *Error, and of a kind that errors.Is knows:
//
//	errors.Is(err, microsandbox.ErrNotFound)
package microsandbox
