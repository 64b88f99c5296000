# frozen_string_literal: true

module Microsandbox
  # What Ruby says, as the library wants it.
  # @private
  module Convert
    MIB = 1 << 20
    UNITS = { "" => 1, "K" => 1 << 10, "M" => 1 << 20, "G" => 1 << 30, "T" => 1 << 40 }.freeze
    SIGNALS = Signal.list.freeze # the guest is Linux, too

    module_function

    def invalid(message)
      raise InvalidConfigError, message
    end

    def wrong_type(what, wanted, value)
      raise TypeError, "#{what}: #{wanted} is wanted, not #{value.class}"
    end

    # Seconds, as an Integer, Float, Rational..., in milliseconds; nil is -1.
    def milliseconds(seconds, what, max: 0x7fffffff)
      return -1 if seconds.nil?

      wrong_type(what, "a number of seconds", seconds) unless seconds.is_a?(Numeric) && seconds.real?
      ms = seconds * 1000
      invalid("#{what}: #{seconds} seconds are no time to wait") unless ms >= 0 && ms <= max
      ms.ceil
    end

    # Whole seconds, where 0 would mean "no limit".
    def seconds(value, what)
      return nil if value.nil?

      wrong_type(what, "a number of seconds", value) unless value.is_a?(Numeric) && value.real?
      invalid("#{what}: #{value} is not at least a second") unless value >= 1 && value <= 0xffffffff
      value.ceil
    end

    # A number of MiB, or a String such as "512M" and "8G".
    def size(value, what)
      case value
      when nil then nil
      when Integer
        invalid("#{what}: #{value} MiB is no size") unless value.positive? && value < (1 << 43)
        value * MIB
      when String then size_text(value, what)
      else wrong_type(what, "a number of MiB or a String", value)
      end
    end

    def size_text(text, what)
      match = /\A(\d{1,15})([KMGT]?)(?:iB|B)?\z/.match(text)
      invalid("#{what}: '#{text}' is no size such as 512M or 8G") unless match
      match[1].to_i * UNITS.fetch(match[2])
    end

    # A count that the library would take for "not given" when it is 0.
    def positive(value, what)
      return nil if value.nil?

      wrong_type(what, "an Integer", value) unless value.is_a?(Integer)
      invalid("#{what}: #{value} is not positive") unless value.positive?
      value
    end

    # A Hash, or what is KEY=VALUE already.
    def pairs(value, what)
      case value
      when nil then nil
      when Hash then value.map { |key, text| "#{pair_name(key, what)}=#{pair_text(text, what)}" }
      when Array then value
      else wrong_type(what, "a Hash", value)
      end
    end

    def pair_name(key, what)
      wrong_type("a name of #{what}", "a String", key) unless key.is_a?(String) || key.is_a?(Symbol)
      invalid("#{what}: '#{key}' is no name") if key.empty? || key.to_s.include?("=")
      key
    end

    def pair_text(text, what)
      wrong_type("a value of #{what}", "a String", text) unless text.is_a?(String)
      text
    end

    # { nofile: 1024, nproc: [10, 20] }, or "nofile=1024:4096" already.
    def rlimits(value)
      return value unless value.is_a?(Hash)

      value.map do |name, limit|
        limit = limit.join(":") if limit.is_a?(Array)
        "#{name}=#{limit}"
      end
    end

    def hash_of_pairs(list)
      list.to_h { |pair| pair.split("=", 2).then { |key, text| [key, text || ""] } }
    end

    def path(value)
      return value if value.is_a?(String)
      return value.to_path if value.respond_to?(:to_path)

      wrong_type("path", "a String", value)
    end

    # A path of the host: relative ones are this process's.
    def host_path(value)
      path(value)
    end

    def bytes(value)
      return value if value.is_a?(String)
      return value.read || "" if value.respond_to?(:read)

      wrong_type("data", "a String or an IO", value)
    end

    def flags(options)
      options.sum { |flag, given| given ? flag : 0 }
    end

    # A number, :TERM, "TERM" or "SIGTERM".
    def signal(value)
      return value if value.is_a?(Integer)

      wrong_type("signal", "an Integer or a name", value) unless value.is_a?(String) || value.is_a?(Symbol)
      SIGNALS[value.to_s.delete_prefix("SIG")] || invalid("there is no signal #{value}")
    end

    # One of a table's words.
    def choice(table, value, what)
      return table.fetch(value.to_sym) if value.respond_to?(:to_sym) && table.key?(value.to_sym)

      invalid("#{what}: #{value.inspect} is none of #{table.keys.join(", ")}")
    end

    # Unix time in milliseconds, of a Time or a number of seconds.
    def unix_ms(value, what)
      return nil if value.nil?

      wrong_type(what, "a Time", value) unless value.is_a?(Time) || (value.is_a?(Numeric) && value.real?)
      (value.to_r * 1000).floor
    end

    def time_of(unix, ms: 1)
      unix.zero? ? nil : Time.at(Rational(unix, ms))
    end

    # Bytes of the guest that people read.
    def text(bytes)
      bytes.dup.force_encoding(Encoding::UTF_8)
    end
  end
  private_constant :Convert
end
