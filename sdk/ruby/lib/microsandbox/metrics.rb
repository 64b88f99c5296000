# frozen_string_literal: true

module Microsandbox
  # Counters of a machine, as the host sees them. They only grow; `cpu_percent`
  # is of the time since the sample before, in a stream (100: one processor).
  Metrics = Value.new(
    :time_ns, :unix_ms, :uptime_ns, :cpu_ns, :memory_bytes, :memory_resident_bytes, :memory_returned_bytes,
    :disk_read_bytes, :disk_write_bytes, :disk_reads, :disk_writes, :net_rx_bytes, :net_tx_bytes, :upper_bytes,
    :upper_used_bytes, :cpus, :sessions, :net_rx_packets, :net_tx_packets, :net_flows, :net_open, :net_denied,
    :net_refused, :net_dns_queries, :net_dns_denied, :tls_flows, :tls_refused, :secrets_used, :secret_violations,
    :secrets_masked, :cpu_percent
  ) do
    # @return [Float] seconds
    def uptime
      uptime_ns / 1e9
    end

    # @return [Time]
    def timestamp
      Time.at(Rational(unix_ms, 1000))
    end

    # The same with the share of processor time since another sample.
    # @private
    def since(before)
      passed = time_ns - before.time_ns
      self.class.new(**to_h, cpu_percent: passed.positive? ? 100.0 * (cpu_ns - before.cpu_ns) / passed : 0.0).freeze
    end
  end
end
