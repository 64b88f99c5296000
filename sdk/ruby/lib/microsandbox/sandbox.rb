# frozen_string_literal: true

module Microsandbox
  # A machine that runs, and the commands and files in it.
  #
  # One with a name stays on record with what was written in it until it is
  # removed (`ephemeral: true` ends that); one without is gone when it ends.
  # It ends with this process, or when the handle is collected, unless it is
  # `detached: true` or was opened. May be used by many threads at once.
  class Sandbox
    STOP_SECONDS = 10
    PING_SECONDS = 5

    # @private
    attr_reader :native
    # @return [Home]
    attr_reader :home

    # @private
    def initialize(native, home)
      @native = native
      @home = home
      @name = native.name
      @id = native.id
    end

    # @return [String]
    attr_reader :name, :id

    # ---- commands ----------------------------------------------------------

    # Run a command to its end and collect its output.
    #
    #   sandbox.exec("ls", ["-l", "/"], cwd: "/tmp", env: { "A" => "b" }, timeout: 10).stdout
    #
    # @param stdin [String, #read] what it reads; else nothing
    # @param timeout [Numeric] seconds, then it is killed: {ExecTimeoutError}
    # @param max [Integer] bytes of each stream that are kept (64 MiB)
    # @param rlimits [Hash] { nofile: 1024 }
    # @return [Output]
    def exec(command, *args, **options) = run(ExecOptions.argv(command, args), 0, **options)

    # Run a script with the sandbox's shell.
    # @return [Output]
    def shell(script, *args, **options) = run(ExecOptions.argv(script, args), ExecOptions::SHELL, **options)

    # Run the image's command, with other arguments if there are any.
    # @return [Output]
    def exec_default(*args, **options) = run(args.flatten(1), ExecOptions::IMAGE_COMMAND, **options)

    # Start a command. With a block: each event, then the exit code; however
    # the block ends, the command does. Without: a handle.
    # @param stdin [:pipe, String, #read, nil]
    # @return [ExecHandle, Integer]
    def exec_stream(command, *args, **options, &block)
      stream(ExecOptions.argv(command, args), 0, **options, &block)
    end

    def shell_stream(script = nil, *args, **options, &block)
      argv = script ? ExecOptions.argv(script, args) : []
      stream(argv, ExecOptions::SHELL, **options, &block)
    end

    def exec_default_stream(*args, **options, &block)
      stream(args.flatten(1), ExecOptions::IMAGE_COMMAND, **options, &block)
    end

    # Take a detached command back.
    # @param session [Integer] 0: the main command, else the only one
    # @return [ExecHandle]
    def attach_session(session = 0)
      ExecHandle.new(Native.exec_attach(@native, session))
    end

    # Run the main command of the sandbox's record in the background; the
    # machine ends with it.
    def run_main = Native.sandbox_run_main(@native)

    # @return [Fs]
    def fs = @fs ||= Fs.new(@native)

    { read: :read, write: :write, list: :list, stat: :stat, exists: :exists?, exists?: :exists?, mkdir: :mkdir,
      remove: :remove, remove_dir: :remove_dir, rename: :rename, copy: :copy, symlink: :symlink, chmod: :chmod,
      chown: :chown, copy_in: :copy_in, copy_out: :copy_out, copy_from_host: :copy_in, copy_to_host: :copy_out,
      read_stream: :read_stream, write_stream: :write_stream, read_bytes: :read_bytes,
      read_text: :read }.each do |flat, method|
      define_method(:"fs_#{flat}") { |*args, **options, &block| fs.public_send(method, *args, **options, &block) }
    end

    # ---- health ------------------------------------------------------------

    # @return [String] starting, running, failed, stopped, crashed
    def state = @native.state
    def running? = %w[starting running].include?(state)

    # Ask the guest for an answer.
    # @return [Float] seconds that it took
    def ping(timeout: PING_SECONDS)
      Native.sandbox_ping(@native, Convert.milliseconds(timeout, "timeout")) / 1e9
    end

    # It is still wanted: the idle time limit starts anew.
    def touch = Native.sandbox_touch(@native)

    # @return [Metrics]
    def metrics = Metrics.from_native(Native.sandbox_metrics(@native))

    # Metrics every so many seconds, to the block or as an Enumerator, until
    # the machine has ended.
    def metrics_stream(interval: 1.0)
      Convert.milliseconds(interval, "interval")
      return enum_for(:metrics_stream, interval: interval) unless block_given?

      before = nil
      loop do
        sample = metrics
        yield before ? sample.since(before) : sample
        before = sample
        sleep(interval)
      end
    rescue GoneError
      nil
    end

    # The last lines of the console of a machine that failed or crashed.
    def console = @native.console
    # "kvm" or "qemu"
    def engine = @native.engine
    # "kvm" or "tcg"
    def accel = @native.accel
    # The walls around the machine's processes, as "seccomp".
    def walls = @native.walls
    # What to know beforehand about a machine like this, or "".
    def warning = @native.warning
    # @return [Hash] of CLOCK_MONOTONIC in ns: create_ns, ready_ns ...
    def times = @native.times

    # What was written to the logs, see {Sandbox.logs}.
    def logs(**options) = self.class.logs(name, home: home, **options)
    def log_stream(**options, &block) = self.class.log_stream(name, home: home, **options, &block)

    # @return [SandboxRecord]
    def info = self.class.get(id, home: home)

    # ---- life --------------------------------------------------------------

    def wait_ready(timeout: nil)
      Native.sandbox_wait_ready(@native, Convert.milliseconds(timeout, "timeout"))
      self
    rescue BootError => e
      e.console ||= console
      raise
    end

    # Shut it down: commands get SIGTERM; after so many seconds all is killed.
    def stop(timeout: STOP_SECONDS) = Native.sandbox_stop(@native, Convert.milliseconds(timeout || 0, "timeout"))

    # At once.
    def kill = Native.sandbox_kill(@native)

    # Ask for it, and go on.
    def request_stop(timeout: STOP_SECONDS)
      Thread.new { stop(timeout: timeout) }.tap { |thread| thread.report_on_exception = false }
      nil
    end

    def request_kill = kill

    # Until it has ended, however that comes. {TimeoutError}
    def wait(timeout: nil) = Native.sandbox_wait(@native, Convert.milliseconds(timeout, "timeout"))
    alias wait_until_stopped wait

    # From now on it outlives this process and this handle.
    def detach
      Native.sandbox_detach(@native)
      self
    end

    # @return [Array<Change>]
    def modify(**options) = self.class.modify(name, home: home, **options)
    def pending = self.class.pending(name, home: home)

    # Of one that was stopped.
    # @return [Snapshot]
    def snapshot(as, **options, &progress) = Snapshot.create(name, as, home: home, **options, &progress)

    # @return [String] the id of the new image
    def commit(reference, **options) = Microsandbox.commit(name, reference, home: home, **options)
    def ports = Microsandbox.ports(name, home: home)

    # Remove it from the record.
    def remove(force: false) = self.class.remove(name, force: force, home: home)

    # The handle goes; a machine that is not detached ends.
    def close = @native.close
    def closed? = @native.closed?

    def inspect
      "#<#{self.class} #{name} #{closed? ? "closed" : state}>"
    end

    private

    def run(argv, flags, stdin: nil, timeout: nil, max: 0, **options)
      Convert.invalid("stdin: :pipe is for exec_stream") if stdin == :pipe
      native = ExecOptions.native(argv, flags: flags, **options)
      input = ExecOptions.input(stdin)
      limit = timeout.is_a?(Numeric) && timeout.zero? ? 1 : Convert.milliseconds(timeout, "timeout")
      Output.from_native(Native.exec_run(@native, native, input, max, limit))
    end

    def stream(argv, flags, stdin: nil, timeout: nil, **options)
      Convert.milliseconds(timeout, "timeout")
      input = stdin == :pipe ? nil : ExecOptions.input(stdin)
      flags |= ExecOptions::STDIN unless stdin.nil?
      native = Native.exec_start(@native, ExecOptions.native(argv, flags: flags, **options))
      handle = ExecHandle.new(native, timeout)
      return feed(handle, input) unless block_given?

      begin
        feed(handle, input).each { |event| yield event }
        handle.exit_code
      ensure
        handle.close
      end
    end

    def feed(handle, input)
      return handle if input.nil?

      handle.write(input)
      handle.close_stdin
      handle
    end
  end
end

require "microsandbox/sandbox_class"
