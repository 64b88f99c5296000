# frozen_string_literal: true

# Calls about sandboxes: the life of machines, and what is on record.
module SandboxCalls
  def sandbox_create(as:, name: nil, boot_timeout_ms: nil, max_duration_s: nil, idle_timeout_s: nil, network: nil,
                     mounts: nil, patches: nil, secrets: nil, tls: nil, **options)
    options = {
      **options, network: network && symbols(network), mounts: mounts&.map { |m| symbols(m) },
                 patches: patches&.map { |p| symbols(p) }, secrets: secrets&.map { |s| symbols(s) },
                 tls: tls && symbols(tls), boot_timeout_ms: boot_timeout_ms, max_duration: max_duration_s,
                 idle_timeout: idle_timeout_s
    }.compact
    options[:network] = with_ports(options[:network]) if options[:network]
    sandbox = Microsandbox::Sandbox.create(name, **options)
    sandbox ? started(as, sandbox) : { name: name, state: "created" }
  end

  def sandbox_open(as:, name:) = started(as, Microsandbox::Sandbox.open(name))
  def sandbox_start(as:, name:) = started(as, Microsandbox::Sandbox.start(name))

  def sandbox_restart(as:, name:, timeout_ms: 10_000)
    started(as, Microsandbox::Sandbox.restart(name, timeout: seconds(timeout_ms)))
  end

  def sandbox_detach(sandbox:) = nothing { at(sandbox).detach }
  def sandbox_touch(sandbox:) = nothing { at(sandbox).touch }
  def sandbox_kill(sandbox:) = nothing { at(sandbox).kill }
  def sandbox_console(sandbox:) = { console: at(sandbox).console }
  def sandbox_stop(sandbox:, timeout_ms: 10_000) = nothing { at(sandbox).stop(timeout: seconds(timeout_ms)) }
  def sandbox_wait(sandbox:, timeout_ms: nil) = nothing { at(sandbox).wait(timeout: seconds(timeout_ms)) }
  def sandbox_state(sandbox:) = { state: state_of(at(sandbox)) }
  def sandbox_close(sandbox:) = drop(sandbox)

  def sandbox_ping(sandbox:, timeout_ms: 5000)
    { ns: (at(sandbox).ping(timeout: seconds(timeout_ms)) * 1e9).round }
  end

  def sandbox_metrics(sandbox:) = at(sandbox).metrics.to_h

  def sandbox_metrics_stream(sandbox:, interval_ms:, count:)
    { samples: at(sandbox).metrics_stream(interval: interval_ms / 1000.0).first(count).map(&:to_h) }
  end

  def sandbox_inspect(name:) = record(Microsandbox::Sandbox.get(name))

  def sandbox_list(labels: nil)
    { sandboxes: Microsandbox::Sandbox.list(labels: labels).map { |one| record(one) } }
  end

  def sandbox_remove(name:, force: false) = nothing { Microsandbox::Sandbox.remove(name, force: force) }

  def sandbox_modify(name:, max_duration_s: nil, idle_timeout_s: nil, secrets: nil, **options)
    options[:max_duration] = max_duration_s if max_duration_s
    options[:idle_timeout] = idle_timeout_s if idle_timeout_s
    options[:secrets] = secrets.map { |secret| symbols(secret) } if secrets
    { changes: Microsandbox::Sandbox.modify(name, **options).map(&:to_h) }
  end

  def sandbox_pending(name:) = { changes: Microsandbox::Sandbox.pending(name).map(&:to_h) }

  def logs(name:, tail: nil, sources: nil, session: nil)
    entries = Microsandbox::Sandbox.logs(name, tail: tail, sources: sources, session: session)
    { entries: entries.map { |e| { source: e.source, data: e.data, session: e.session } } }
  end

  private

  def with_ports(network)
    network.merge(ports: network[:ports]&.map { |port| symbols(port) }).compact
  end

  def started(as, sandbox)
    keep(as, sandbox)
    { name: sandbox.name, id: sandbox.id, state: state_of(sandbox) }
  end

  def state_of(one) = Calls::STATES.fetch(one.state, one.state)

  def record(record)
    record.to_h.except(:home, :network, :tls).merge(state: state_of(record))
  end
end
