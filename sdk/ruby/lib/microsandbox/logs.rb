# frozen_string_literal: true

module Microsandbox
  # A piece of what a sandbox wrote, as it was captured: not always a line.
  LogEntry = Value.new(:unix_ms, :session, :source, :data) do
    # @return [Time]
    def time
      Time.at(Rational(unix_ms, 1000))
    end
    alias_method :timestamp, :time

    # @return [String] the bytes as UTF-8
    def text
      data.dup.force_encoding(Encoding::UTF_8)
    end
  end

  # @private
  module Logs
    SOURCES = { stdout: 1, stderr: 2, output: 4, console: 8, kernel: 8, system: 16, commands: 7, all: 31 }.freeze
    NAMES = { 1 => :stdout, 2 => :stderr, 4 => :output, 8 => :console, 16 => :system }.freeze

    module_function

    # Each entry, until there is none, or the block ends it.
    def each(home, name, follow: false, **options)
      logs = Native.logs_open(home.native, name, native_options(follow: follow, **options))
      begin
        while (entry = logs.next(follow ? -1 : 0))
          yield entry_of(entry)
        end
      ensure
        logs.close
      end
    end

    def entry_of(hash)
      LogEntry.new(**hash, source: NAMES.fetch(hash[:source], hash[:source]), data: hash[:data] || "".b).freeze
    end

    def native_options(follow:, tail: nil, since: nil, until: nil, sources: nil, session: nil)
      last = binding.local_variable_get(:until)
      { follow: follow, tail: tail, session: session,
        since_ms: Convert.unix_ms(since, "since"), until_ms: Convert.unix_ms(last, "until"),
        sources: sources && Array(sources).reduce(0) { |bits, s| bits | Convert.choice(SOURCES, s, "sources") } }
    end
  end
  private_constant :Logs
end
