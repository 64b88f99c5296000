//! Counters of a machine.

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{interval, Interval, MissedTickBehavior};

use crate::error::{MicrosandboxError, Result};
use crate::pool::{self, Call};
use crate::sandbox::Sandbox;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// Counters of a machine, all taken on the host: an idle guest is not woken. They only
        /// grow; [`cpu_percent`](Self::cpu_percent) makes a rate of two.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Metrics {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Metrics {
            pub(crate) fn from_raw(m: &microsandbox_sys::msb_metrics) -> Self {
                Self { $($name: m.$name,)* }
            }
        }
    };
}

counters! {
    /// When they were taken, by the monotonic clock.
    time_ns: u64,
    /// When they were taken, since 1970.
    unix_ms: u64,
    /// Since it was ready; 0: it is not.
    uptime_ns: u64,
    /// Processor time of all its processes.
    cpu_ns: u64,
    /// What the guest has.
    memory_bytes: u64,
    /// Of that, held by the host now.
    memory_resident_bytes: u64,
    /// Given back by the guest, ever.
    memory_returned_bytes: u64,
    /// Read from its disks.
    disk_read_bytes: u64,
    /// Written to its disks.
    disk_write_bytes: u64,
    /// Reads.
    disk_reads: u64,
    /// Writes.
    disk_writes: u64,
    /// What the guest got.
    net_rx_bytes: u64,
    /// What the guest sent.
    net_tx_bytes: u64,
    /// The size of its disk.
    upper_bytes: u64,
    /// What it occupies.
    upper_used_bytes: u64,
    /// Processors.
    cpus: u32,
    /// Commands that run now.
    sessions: u32,
    /// What the guest got.
    net_rx_packets: u64,
    /// What the guest sent.
    net_tx_packets: u64,
    /// Flows that were let through.
    net_flows: u64,
    /// Of them now.
    net_open: u64,
    /// Flows that the policy denied.
    net_denied: u64,
    /// Flows that a limit refused.
    net_refused: u64,
    /// Questions for names.
    net_dns_queries: u64,
    /// Of them denied.
    net_dns_denied: u64,
    /// Connections that were looked into.
    tls_flows: u64,
    /// Connections that could not be.
    tls_refused: u64,
    /// Values that were put in.
    secrets_used: u64,
    /// Placeholders where they must not be.
    secret_violations: u64,
    /// Values in answers that were hidden.
    secrets_masked: u64,
}

impl Metrics {
    /// How long it is ready.
    pub fn uptime(&self) -> Duration {
        Duration::from_nanos(self.uptime_ns)
    }

    /// Processor time since `before`, in percent of one processor.
    pub fn cpu_percent(&self, before: &Self) -> f64 {
        let time = self.time_ns.saturating_sub(before.time_ns);
        let cpu = self.cpu_ns.saturating_sub(before.cpu_ns);
        if time == 0 {
            0.0
        } else {
            cpu as f64 * 100.0 / time as f64
        }
    }
}

/// Counters, again and again: the first at once, then one in each interval. It ends with an
/// error, as that of a machine that has gone. Needs tokio's timer.
pub struct MetricsStream {
    sandbox: Option<Sandbox>,
    every: Duration,
    timer: Option<Interval>,
    call: Option<Call<Metrics>>,
}

impl MetricsStream {
    pub(crate) fn new(sandbox: Sandbox, every: Duration) -> Self {
        Self { sandbox: Some(sandbox), every, timer: None, call: None }
    }

    fn end(&mut self, e: MicrosandboxError) -> Poll<Option<Result<Metrics>>> {
        self.sandbox = None;
        Poll::Ready(Some(Err(e)))
    }

    fn poll_sample(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Metrics>>> {
        let Some(sandbox) = self.sandbox.clone() else { return Poll::Ready(None) };
        if self.call.is_none() {
            if self.every.is_zero() {
                return self.end(MicrosandboxError::invalid("the interval must be more than 0"));
            }
            let every = self.every;
            let timer = self.timer.get_or_insert_with(|| {
                let mut timer = interval(every);
                timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
                timer
            });
            if timer.poll_tick(cx).is_pending() {
                return Poll::Pending;
            }
            match pool::start(move || sandbox.raw().metrics()) {
                Ok(call) => self.call = Some(call),
                Err(e) => return self.end(e),
            }
        }
        let Some(call) = &mut self.call else { return Poll::Ready(None) };
        let Poll::Ready(r) = Pin::new(call).poll(cx) else { return Poll::Pending };
        self.call = None;
        match r {
            Ok(m) => Poll::Ready(Some(Ok(m))),
            Err(e) => self.end(e),
        }
    }

    /// The next ones.
    pub async fn recv(&mut self) -> Option<Result<Metrics>> {
        poll_fn(|cx| self.poll_sample(cx)).await
    }
}

impl Stream for MetricsStream {
    type Item = Result<Metrics>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_sample(cx)
    }
}
