# frozen_string_literal: true

module Microsandbox
  # What a command wrote, and how it ended.
  class Output
    # @return [String] bytes
    attr_reader :stdout_bytes, :stderr_bytes
    # @return [Integer] 0 to 255; 128 + n after signal n
    attr_reader :exit_code
    # @return [Integer, nil] the signal that ended it
    attr_reader :signal

    # @private
    def self.from_native(hash)
      new(hash[:out], hash[:err], hash[:code], hash[:signal], hash[:truncated])
    end

    # @private
    def initialize(out, err, code, signal, truncated = 0)
      @stdout_bytes = out || "".b
      @stderr_bytes = err || "".b
      @signal = signal.zero? ? nil : signal
      @exit_code = @signal ? 128 + @signal : code
      @truncated = truncated
    end

    # @return [String] as UTF-8
    def stdout = Convert.text(@stdout_bytes)
    def stderr = Convert.text(@stderr_bytes)
    alias stdout_text stdout
    alias stderr_text stderr
    alias code exit_code

    def success? = @exit_code.zero?
    alias success success?

    # Whether something was dropped since it was more than `max`.
    def truncated? = @truncated != 0
    def stdout_truncated? = @truncated & 1 != 0
    def stderr_truncated? = @truncated & 2 != 0

    def to_s = stdout

    def inspect
      "#<#{self.class} exit_code=#{exit_code} stdout=#{stdout.inspect} stderr=#{stderr.inspect}>"
    end

    def deconstruct_keys(_keys)
      { exit_code: exit_code, signal: signal, stdout: stdout, stderr: stderr }
    end
  end

  # Something that happened to a command: kind is :started (pid), :stdout and
  # :stderr (data), :exited (exit_code, signal) or :failed (it never ran: stage,
  # errno, message).
  ExecEvent = Value.new(:kind, :pid, :data, :exit_code, :signal, :errno, :stage, :message) do
    # @return [String] the bytes as UTF-8
    def text
      (data || "").dup.force_encoding(Encoding::UTF_8)
    end

    %i[started stdout stderr exited failed].each do |kind|
      define_method(:"#{kind}?") { self.kind == kind }
    end
    alias_method :code, :exit_code
  end

  # A command that runs. Events are for one reader at a time (more take turns);
  # input, signals and resizing may come from any thread meanwhile.
  #
  #   handle = sandbox.exec_stream("sort", stdin: :pipe)
  #   handle.stdin << "b\na\n"
  #   handle.stdin.close
  #   handle.each { |event| print event.text if event.stdout? }
  #   handle.close
  class ExecHandle
    include Enumerable

    KINDS = { 1 => :started, 2 => :stdout, 3 => :stderr, 4 => :failed, 5 => :exited }.freeze
    WRITABLE = 6
    SIGKILL = 9
    private_constant :WRITABLE, :SIGKILL

    # @return [ExecSink] the command's standard input
    attr_reader :stdin
    # @return [Integer, nil] in the guest, once it was started
    attr_reader :pid

    # @private
    def initialize(native, limit = nil)
      @native = native
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @pending = []
      @reading = false
      @taken = 0
      @last = nil
      @limit = limit && (clock + limit)
      @stdin = ExecSink.new(self)
    end

    # The next event; nil after the last, or when none came in so many seconds.
    # @return [ExecEvent, nil]
    def next_event(timeout: nil)
      Convert.milliseconds(timeout, "timeout")
      until_then = timeout && (clock + timeout)
      @lock.synchronize do
        loop do
          return @pending.shift unless @pending.empty?
          return nil if @last || (until_then && clock >= until_then && !read_now)

          read(until_then) if @pending.empty?
        end
      end
    end
    alias recv next_event

    # Every event to the last; ends the command when the block ends early with
    # an exception and `exec_stream` has it, else it goes on.
    def each
      return enum_for(:each) unless block_given?

      while (event = next_event)
        yield event
      end
      self
    end

    # Wait for the end and drop the output.
    # @return [Integer] the exit code, 128 + n after signal n
    def wait(timeout: nil)
      until_then = timeout && (clock + timeout)
      until ended?
        left = until_then && [until_then - clock, 0].max
        event = next_event(timeout: left)
        raise TimeoutError, "the command has not ended in #{timeout} s" if event.nil? && !ended?
      end
      exit_code
    end

    # Wait for the end and collect the output.
    # @return [Output]
    def collect
      out = { stdout: "".b, stderr: "".b }
      each { |event| out[event.kind] << event.data if out.key?(event.kind) }
      code = exit_code
      Output.new(out[:stdout], out[:stderr], code, @last.signal || 0)
    end

    # @return [Integer, nil] nil while it runs; {ExecFailedError} when it never ran
    def exit_code
      return nil unless @last
      return @last.exit_code if @last.exited?

      error = ExecFailedError.new(@last.message, errno: @last.errno)
      error.stage = @last.stage
      raise error
    end

    # No event will come from the command any more.
    def ended? = !@last.nil?

    # All of it, waiting while the command does not take it.
    # @return [Integer] bytes
    def write(data)
      Convert.wrong_type("data", "a String", data) unless data.is_a?(String)
      data = data.dup.freeze unless data.frozen?
      offset = 0
      while offset < data.bytesize && !@last
        seen = @taken
        taken = @native.write(data, offset)
        offset += taken
        wait_until_taken(seen) if taken.zero?
      end
      data.bytesize
    end

    def close_stdin = @native.close_stdin

    # @param signal [Integer, String, Symbol] 15, "TERM", :SIGTERM
    def signal(signal) = @native.signal(Convert.signal(signal))
    def kill = @native.signal(SIGKILL)
    def resize(rows, cols) = @native.resize(rows, cols)

    # @return [Integer] as logs and {Sandbox#attach_session} know it
    def session = @native.session
    alias id session

    def tty? = @native.tty?
    # Bytes written that the command has not taken yet.
    def unread = @native.unread

    # Give it to the machine: it goes on without this process.
    def detach
      Native.exec_detach(@native)
    end

    # Ends the session: a command that still runs is killed.
    def close = @native.close
    def closed? = @native.closed?

    def inspect
      state = closed? ? "closed" : (@last && "ended") || "running"
      "#<#{self.class} #{state}>"
    end

    private

    def clock
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Without waiting: whether something was there.
    def read_now
      return false if @reading

      keep(@native.next(0))
      !@pending.empty?
    end

    # One step, by whoever is first; others wait until something changed. The
    # lock is held, but while nothing is done but waiting.
    def read(until_then)
      return wait_change(until_then) if @reading

      @reading = true
      begin
        event = unlocked { @native.next(wait_ms(until_then)) }
      ensure
        @reading = false
        @changed.broadcast
      end
      keep(event)
      expire if event.nil? && @limit && clock >= @limit
    end

    def unlocked
      @lock.unlock
      yield
    ensure
      Thread.handle_interrupt(Object => :never) { @lock.lock }
    end

    def wait_change(until_then)
      @changed.wait(@lock, until_then && [until_then - clock, 0].max)
    end

    def wait_ms(until_then)
      first = [until_then, @limit].compact.min
      first ? [((first - clock) * 1000).ceil, 0].max : -1
    end

    def keep(hash)
      return if hash.nil?
      return @taken += 1 if hash[:kind] == WRITABLE

      event = event_of(hash)
      @pid = event.pid if event.started?
      @last = event if event.exited? || event.failed?
      @pending << event
    end

    def event_of(hash)
      kind = KINDS.fetch(hash[:kind], :unknown)
      code = hash[:signal].zero? ? hash[:code] : 128 + hash[:signal]
      ExecEvent.new(
        kind: kind, pid: (hash[:pid] if kind == :started), data: hash[:data], errno: hash[:error_no],
        exit_code: (code if kind == :exited), signal: (hash[:signal] if kind == :exited && hash[:signal].positive?),
        stage: hash[:stage], message: hash[:message]
      ).freeze
    end

    def wait_until_taken(seen)
      @lock.synchronize { read(nil) while @taken == seen && !@last }
    end

    def expire
      close
      raise ExecTimeoutError, "the command was killed: its time is over"
    end
  end

  # A command's standard input, as far as it is like an IO.
  class ExecSink
    # @private
    def initialize(handle)
      @handle = handle
    end

    def write(*data) = data.sum { |piece| @handle.write(piece.to_s) }

    def <<(data)
      write(data)
      self
    end

    def puts(*lines)
      write(*lines.flatten.map { |line| line.to_s.end_with?("\n") ? line.to_s : "#{line}\n" })
      nil
    end

    def print(*data)
      write(*data)
      nil
    end

    def flush = self
    def close = @handle.close_stdin
  end
end
