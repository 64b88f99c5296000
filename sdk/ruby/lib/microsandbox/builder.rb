# frozen_string_literal: true

module Microsandbox
  # Options of {Sandbox.create}, one by one:
  #
  #   Sandbox.builder("web").image("nginx").memory(512).port(8080, 80).env("A", "b").create
  class SandboxBuilder
    # @private
    def initialize(name)
      @name = name
      @options = {}
    end

    %i[image from_snapshot cpus memory memory_bytes root_disk upper_bytes hostname workdir user shell entrypoint init
       init_args init_env boot_timeout engine accel max_duration idle_timeout replace_timeout network proxy rlimits
       on_secret_violation pull_policy pull tls home cmd log_level scripts labels].each do |option|
      define_method(option) { |value| set(option, value) }
    end

    %i[ephemeral detached replace keep start].each do |option|
      define_method(option) { |value = true| set(option, value) } # rubocop:disable Style/OptionalBooleanParameter
    end

    # env("A", "b") or env("A" => "b")
    def env(name, value = nil) = merge(:env, name.is_a?(Hash) ? name : { name => value })
    alias envs env
    def label(name, value = "") = merge(:labels, { name => value })
    def script(name, text) = merge(:scripts, { name => text })
    def rlimit(name, soft, hard = nil) = merge(:rlimits, { name => hard ? [soft, hard] : soft })

    # volume("/data", Mount.named("data"))
    def volume(target, mount) = merge(:volumes, { target => mount })
    def patch(*patches) = add(:patches, patches)

    # secret(Secret.env(...)) or secret(env: "KEY", allowed_host: "h")
    def secret(secret = nil, **options) = add(:secrets, [secret || options])
    def secret_env(env, value, host) = secret(env: env, value: value, allowed_host: host)
    def disable_network = set(:network, :none)

    # port(8080, 80), port(5353, 53, udp: true, bind: "0.0.0.0")
    def port(host, guest, udp: false, bind: nil)
      add(:ports, [{ host: host, guest: guest, udp: udp, bind: bind }])
    end

    def port_udp(host, guest) = port(host, guest, udp: true)
    def port_bind(bind, host, guest) = port(host, guest, bind: bind)
    def vsock(*routes) = add(:vsock, routes)

    # @yieldparam progress [Image::PullProgress]
    def on_progress(&block) = set(:on_progress, block)

    # @return [Hash] what {Sandbox.create} is called with
    def build = @options.dup

    # @return [Sandbox]
    def create(&block) = Sandbox.create(@name, **@options, &block)
    alias with create

    # As the peer calls it.
    def create_with_pull_progress(&progress) = on_progress(&progress).create

    private

    def set(option, value)
      @options[option] = value
      self
    end

    def merge(option, hash) = set(option, @options.fetch(option, {}).merge(hash))
    def add(option, list) = set(option, @options.fetch(option, []) + list)
  end
end
