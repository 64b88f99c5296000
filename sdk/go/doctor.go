package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import "context"

// CheckStatus is what a check of Doctor found.
type CheckStatus string

// Findings.
const (
	CheckOK   CheckStatus = "ok"
	CheckInfo CheckStatus = "info"
	CheckWarn CheckStatus = "warn" // works, but not as well as it could
	CheckFail CheckStatus = "fail" // no sandbox can run
)

// Check is one thing that a sandbox needs.
type Check struct {
	Name    string
	Status  CheckStatus
	Message string // what was found
	Fix     string // the one thing to do, or ""
}

// Doctor looks at everything that a sandbox needs. A finding is no error.
func Doctor(ctx context.Context) ([]Check, error) { return DoctorOf(ctx, "") }

// DoctorOf is Doctor for the home in this folder.
func DoctorOf(ctx context.Context, home string) ([]Check, error) {
	c, err := begin(ctx, aboutNothing)
	if err != nil {
		return nil, err
	}
	defer c.end()
	path := c.opt("the home's path", home)
	var report *C.struct_msb_report
	if err := c.do(func() C.int { return C.msb_doctor(path, &report, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_report_free(report)
	all := []CheckStatus{CheckOK, CheckInfo, CheckWarn, CheckFail}
	out := []Check{}
	for i := C.size_t(0); i < C.msb_report_count(report); i++ {
		p := C.msb_report_get(report, i)
		check := Check{Name: C.GoString(p.name), Status: CheckFail, Message: C.GoString(p.message),
			Fix: C.GoString(p.fix)}
		if p.status >= 0 && int(p.status) < len(all) {
			check.Status = all[p.status]
		}
		out = append(out, check)
	}
	return out, nil
}

// Repair brings the record of sandboxes back when it is damaged, and tells what
// was done, a sentence each; with dryRun what would be.
func Repair(ctx context.Context, dryRun bool) ([]string, error) { return RepairOf(ctx, "", dryRun) }

// RepairOf is Repair for the home in this folder.
func RepairOf(ctx context.Context, home string, dryRun bool) ([]string, error) {
	c, err := begin(ctx, aboutNothing)
	if err != nil {
		return nil, err
	}
	defer c.end()
	path := c.opt("the home's path", home)
	var done **C.char
	if err := c.do(func() C.int {
		return C.msb_repair(path, C.int(boolInt(dryRun)), &done, &c.error)
	}); err != nil {
		return nil, err
	}
	defer C.msb_strings_free(done)
	return goStrings(done), nil
}
