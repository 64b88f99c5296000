package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"io"
	"sync"
	"time"
)

// Metrics is what a sandbox uses, counted on the host. Counters only grow.
type Metrics struct {
	// CPUPercent is of one processor, since the sample before of the same handle
	// or stream; of the first one, since the machine was ready.
	CPUPercent float64

	Timestamp           time.Time
	Uptime              time.Duration // since the agent was ready
	CPUTime             time.Duration // of all the machine's processes
	CPUs                int
	Sessions            int    // commands that run now
	MemoryBytes         uint64 // what the guest has
	MemoryResidentBytes uint64 // of that, held by the host now
	MemoryReturnedBytes uint64 // given back by the guest, ever
	DiskReadBytes       uint64
	DiskWriteBytes      uint64
	DiskReads           uint64
	DiskWrites          uint64
	UpperBytes          uint64 // its disk
	UpperUsedBytes      uint64 // the host's blocks for it
	NetRxBytes          uint64 // as the guest sees it
	NetTxBytes          uint64
	NetRxPackets        uint64
	NetTxPackets        uint64
	NetFlows            uint64 // let through
	NetOpen             uint64 // of them now
	NetDenied           uint64 // by the policy
	NetRefused          uint64 // by a limit
	NetDNSQueries       uint64
	NetDNSDenied        uint64
	TLSFlows            uint64 // that were intercepted
	TLSRefused          uint64 // that could not be
	SecretsUsed         uint64 // values that were put in
	SecretViolations    uint64 // placeholders where they must not be
	SecretsMasked       uint64 // values in answers that were hidden

	monotonic uint64
}

func newMetrics(m *C.struct_msb_metrics) *Metrics {
	return &Metrics{
		Timestamp: unixMilli(int64(m.unix_ms)), Uptime: time.Duration(m.uptime_ns),
		CPUTime: time.Duration(m.cpu_ns), CPUs: int(m.cpus), Sessions: int(m.sessions),
		MemoryBytes: uint64(m.memory_bytes), MemoryResidentBytes: uint64(m.memory_resident_bytes),
		MemoryReturnedBytes: uint64(m.memory_returned_bytes),
		DiskReadBytes:       uint64(m.disk_read_bytes), DiskWriteBytes: uint64(m.disk_write_bytes),
		DiskReads: uint64(m.disk_reads), DiskWrites: uint64(m.disk_writes),
		UpperBytes: uint64(m.upper_bytes), UpperUsedBytes: uint64(m.upper_used_bytes),
		NetRxBytes: uint64(m.net_rx_bytes), NetTxBytes: uint64(m.net_tx_bytes),
		NetRxPackets: uint64(m.net_rx_packets), NetTxPackets: uint64(m.net_tx_packets),
		NetFlows: uint64(m.net_flows), NetOpen: uint64(m.net_open),
		NetDenied: uint64(m.net_denied), NetRefused: uint64(m.net_refused),
		NetDNSQueries: uint64(m.net_dns_queries), NetDNSDenied: uint64(m.net_dns_denied),
		TLSFlows: uint64(m.tls_flows), TLSRefused: uint64(m.tls_refused),
		SecretsUsed: uint64(m.secrets_used), SecretViolations: uint64(m.secret_violations),
		SecretsMasked: uint64(m.secrets_masked), monotonic: uint64(m.time_ns),
	}
}

// rate sets the share of a processor since the sample before.
func (m *Metrics) rate(before *Metrics) {
	span, used := m.Uptime, m.CPUTime
	if before != nil {
		span, used = time.Duration(m.monotonic-before.monotonic), m.CPUTime-before.CPUTime
	}
	if span > 0 && used >= 0 {
		m.CPUPercent = 100 * float64(used) / float64(span)
	}
}

func (s *Sandbox) sample(ctx context.Context) (*Metrics, error) {
	var out *Metrics
	err := s.call(ctx, aboutSandbox, func(c *call) C.int {
		m := (*C.struct_msb_metrics)(c.alloc(C.sizeof_struct_msb_metrics))
		m.size = C.sizeof_struct_msb_metrics
		r := C.msb_sandbox_metrics(s.c(), m, &c.error)
		if r >= 0 {
			out = newMetrics(m)
		}
		return r
	})
	return out, err
}

// Metrics tells what the sandbox uses.
func (s *Sandbox) Metrics(ctx context.Context) (*Metrics, error) {
	m, err := s.sample(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.rate(s.last)
	s.last = m
	return m, nil
}

// MetricsStream is samples at an interval.
type MetricsStream struct {
	s      *Sandbox
	ticker *time.Ticker
	done   chan struct{}
	once   sync.Once
	mu     sync.Mutex
	last   *Metrics
}

// MetricsStream samples the metrics at an interval, the first one at once. It
// ends with the machine. Close it.
func (s *Sandbox) MetricsStream(ctx context.Context, interval time.Duration) (*MetricsStream, error) {
	if interval <= 0 {
		return nil, fail(ErrInvalidConfig, "the interval %v is not positive", interval)
	}
	if s == nil || s.h.isClosed() {
		return nil, fail(ErrInvalidHandle, "the handle is closed")
	}
	if ctx == nil {
		return nil, fail(ErrInvalidConfig, "the context is nil")
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	return &MetricsStream{s: s, ticker: time.NewTicker(interval), done: make(chan struct{})}, nil
}

// Recv waits for the next sample; io.EOF when the machine has ended, or the
// stream was closed.
func (m *MetricsStream) Recv(ctx context.Context) (*Metrics, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil {
		select {
		case <-m.ticker.C:
		case <-m.done:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, cancelled(ctx)
		}
	}
	select {
	case <-m.done:
		return nil, io.EOF
	default:
	}
	now, err := m.s.sample(ctx)
	if IsKind(err, ErrGone) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	now.rate(m.last)
	m.last = now
	return now, nil
}

// Close ends the stream. Twice is fine.
func (m *MetricsStream) Close() error {
	m.once.Do(func() {
		close(m.done)
		m.ticker.Stop()
	})
	return nil
}

// AllSandboxMetrics tells what all sandboxes that run use, by name.
func (h *Home) AllSandboxMetrics(ctx context.Context) (map[string]*Metrics, error) {
	list, err := h.ListSandboxes(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]*Metrics{}
	for _, s := range list {
		if s.State() != StateReady {
			continue
		}
		err := s.connected(ctx, func(sb *Sandbox) error {
			m, err := sb.Metrics(ctx)
			if err == nil {
				out[s.Name()] = m
			}
			return err
		})
		if err != nil && !IsKind(err, ErrGone) && !IsKind(err, ErrNotFound) {
			return nil, err
		}
	}
	return out, nil
}
