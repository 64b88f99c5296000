# frozen_string_literal: true

module Microsandbox
  # A value that the guest never sees: its variable holds a placeholder, and
  # the value is put in on the way to hosts that it is for. See docs/secrets.md.
  class Secret
    PLACES = { headers: 1, basic: 2, query: 4, body: 8, mask: 16 }.freeze
    VIOLATIONS = { block: 1, block_log: 2, block_terminate: 3, pass: 4, block_and_log: 2, block_and_terminate: 3,
                   passthrough: 4 }.freeze

    # @param value [String, nil] nil: the variable `source`, else `env`, of this process, at each start
    # @param allow_hosts [Array<String>] "api.github.com", "*.example.com" or "*"
    def self.env(env, value: nil, allow_hosts: nil, **options)
      new(env: env.to_s, value: value, hosts: allow_hosts, **options)
    end

    # @private
    def self.from(value)
      case value
      when Secret then value
      when Hash then new(**value)
      else Convert.wrong_type("a secret", "a Secret or Hash", value)
      end
    end

    # @private
    def self.list(value)
      return nil if value.nil?

      Convert.wrong_type("secrets", "an Array", value) unless value.is_a?(Array)
      value.map { |secret| from(secret).to_native }
    end

    def initialize(env:, value: nil, source: nil, placeholder: nil, hosts: nil, allowed_hosts: nil, allowed_host: nil,
                   allow_hosts: nil, violation: nil, **places)
      unknown = places.keys - PLACES.keys
      Convert.invalid("a secret has no option #{unknown.first}") unless unknown.empty?
      hosts ||= allowed_hosts || allow_hosts || allowed_host
      @native = {
        env: env, value: value, source: source, placeholder: placeholder,
        hosts: hosts.nil? ? nil : Array(hosts),
        flags: places.sum { |name, given| given ? PLACES.fetch(name) : 0 },
        violation: violation && Convert.choice(VIOLATIONS, violation, "violation")
      }.compact
    end

    # @private
    def to_native
      @native
    end

    # Never the value.
    def inspect
      "#<#{self.class} #{@native[:env]} for #{Array(@native[:hosts]).join(", ")}>"
    end
  end

  # How TLS is looked into; nil: as secrets need it.
  # @private
  module Tls
    FLAGS = { intercept: 1, no_block_quic: 2 }.freeze
    PLAIN = %i[ports bypass ca_cert ca_key upstream_cas upstream_cas_for no_verify_for].freeze

    def self.from(value, violation)
      return nil if value.nil? && violation.nil?

      value ||= {}
      Convert.wrong_type("tls", "a Hash", value) unless value.is_a?(Hash)
      unknown = value.keys - FLAGS.keys - PLAIN - [:violation]
      Convert.invalid("tls has no option #{unknown.first}") unless unknown.empty?
      violation ||= value[:violation]
      { flags: FLAGS.sum { |name, flag| value[name] ? flag : 0 },
        violation: violation && Convert.choice(Secret::VIOLATIONS, violation, "violation"),
        **value.slice(*PLAIN), ports: value[:ports]&.map(&:to_s) }.compact
    end
  end
  private_constant :Tls
end
