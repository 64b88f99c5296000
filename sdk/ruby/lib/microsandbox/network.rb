# frozen_string_literal: true

module Microsandbox
  # What a sandbox may reach, and who may reach it; see docs/network.md.
  #
  #   network: :none                                 # no network at all
  #   network: { allowed_hosts: ["api.github.com"] } # these, and nothing else
  #   network: Microsandbox::Network.from_profiles(:public, :host, rules: ["deny@*.ads.com"])
  class Network
    ACTIONS = { allow: 1, deny: 2 }.freeze
    FLAGS = { disabled: 1, strict: 2, no_rebind_protection: 4, trust_host_cas: 8, log_denied: 16 }.freeze
    PLAIN = %i[nameservers dns_timeout_ms ipv4_pool ipv6_pool mtu max_connections proxy socks4_user_id
               socks5_username socks5_password_env vsock pcap].freeze
    RATES = %i[egress_bytes egress_packets ingress_bytes ingress_packets].freeze
    WORDS = { none: :none, disabled: :none, public: :public_only, public_only: :public_only, open: :allow_all,
              all: :allow_all, allow_all: :allow_all }.freeze

    class << self
      # No interface at all.
      def none
        new(disabled: true)
      end

      # The public internet, nothing private: the default.
      def public_only(**options)
        new(profile: "public", **options)
      end

      # Everything, both ways.
      def allow_all(**options)
        new(profile: "all", **options)
      end

      # Of :public, :private and :host.
      def from_profiles(*profiles, **options)
        new(profile: profiles.flatten.join(","), **options)
      end

      # @private
      def from(value)
        case value
        when Network then value
        when Hash then new(**value)
        when Symbol, String then send(Convert.choice(WORDS, value, "network"))
        when false then none
        else Convert.wrong_type("network", "a Network, Hash or Symbol", value)
        end
      end
    end

    # @param rules [Array<String>] "allow@example.com:tcp:443"; the first that matches decides
    # @param allowed_hosts [Array<String>] these, and nothing else; with allowed_ports only there
    # @param ports [Hash, Array] of the host, that lead to the guest's
    def initialize(profile: nil, rules: nil, allowed_hosts: nil, allowed_ports: nil, default_egress: nil,
                   default_ingress: nil, ports: nil, enabled: true, **options)
      options[:disabled] = true unless enabled
      rules, default_egress = short_form(rules, allowed_hosts, allowed_ports, default_egress)
      check(options)
      @native = {
        profile: profile&.to_s, rules: rules, ports: Port.list(ports),
        default_egress: default_egress && Convert.choice(ACTIONS, default_egress, "default_egress"),
        default_ingress: default_ingress && Convert.choice(ACTIONS, default_ingress, "default_ingress"),
        flags: FLAGS.sum { |name, flag| options[name] ? flag : 0 },
        **options.slice(*PLAIN), **rates(options)
      }.compact
    end

    # The same, with more ports and host sockets.
    # @private
    def with(ports: nil, vsock: nil, proxy: nil)
      other = dup
      native = @native.dup
      native[:ports] = native.fetch(:ports, []) + Port.list(ports) if ports
      native[:vsock] = native.fetch(:vsock, []) + vsock if vsock
      native[:proxy] = proxy if proxy
      other.instance_variable_set(:@native, native)
      other
    end

    # @private
    def to_native
      @native
    end

    private

    def check(options)
      unknown = options.keys - FLAGS.keys - PLAIN - RATES
      Convert.invalid("network has no option #{unknown.first}") unless unknown.empty?
    end

    def rates(options)
      options.slice(*RATES).transform_values do |rate|
        rate.is_a?(Integer) ? { per_second: rate } : rate
      end
    end

    def short_form(rules, hosts, ports, default_egress)
      return [rules, default_egress] unless hosts || ports

      hosts = hosts ? Array(hosts) : ["any"]
      allowed = hosts.flat_map do |host|
        target = "allow@#{bracketed(host)}"
        ports ? Array(ports).map { |port| "#{target}:tcp:#{port}" } : [target]
      end
      [(rules || []) + allowed, default_egress || :deny]
    end

    def bracketed(host)
      Convert.wrong_type("allowed_hosts", "Strings", host) unless host.is_a?(String)
      host.count(":") > 1 && !host.start_with?("[") ? "[#{host}]" : host
    end
  end

  # Ports of the host that lead to the guest's.
  # @private
  module Port
    UDP = 1

    module_function

    # { 8080 => 80, "0.0.0.0:53" => "53/udp" }, or Hashes with host and guest.
    def list(value)
      case value
      when nil then nil
      when Hash then value.map { |host, guest| pair(host, guest) }
      when Array then value.map { |port| one(port) }
      else Convert.wrong_type("ports", "a Hash or Array", value)
      end
    end

    def one(port)
      case port
      when Integer then { host: port, guest: port }
      when Array then pair(*port)
      when String then text(port)
      when Hash
        port = port.dup
        udp = port.delete(:udp)
        udp ? port.merge(flags: UDP) : port
      else Convert.wrong_type("a port", "a Hash", port)
      end
    end

    def text(port)
      host, _, guest = port.rpartition(":")
      Convert.invalid("'#{port}' is not [BIND:]HOST:GUEST[/udp]") if host.empty?
      pair(host, guest)
    end

    def pair(host, guest)
      bind, number = host.is_a?(String) && host.include?(":") ? host.rpartition(":").values_at(0, 2) : [nil, host]
      guest, protocol = guest.split("/", 2) if guest.is_a?(String)
      Convert.invalid("'#{protocol}' is neither tcp nor udp") unless [nil, "tcp", "udp"].include?(protocol)
      { bind: bind&.delete("[]"), host: number(number), guest: number(guest),
        flags: protocol == "udp" ? UDP : 0 }.compact
    end

    def number(value)
      return value if value.is_a?(Integer)

      Convert.wrong_type("a port", "an Integer", value) unless value.is_a?(String) || value.is_a?(Symbol)
      Integer(value.to_s, 10, exception: false) || Convert.invalid("'#{value}' is no port")
    end
  end
  private_constant :Port
end
