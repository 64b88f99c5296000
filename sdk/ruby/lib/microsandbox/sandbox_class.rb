# frozen_string_literal: true

module Microsandbox
  # Making, finding and changing sandboxes by name.
  class Sandbox
    class << self
      # Make a sandbox and wait until it is ready. The image is pulled if it is
      # not here. With a block it is stopped and closed behind it.
      #
      #   Sandbox.create("web", image: "nginx", memory: 512, ports: { 8080 => 80 })
      #
      # @param image [String, Image] a reference, a path; or from_snapshot:
      # @param memory [Integer, String] MiB, or "2G"
      # @param cpus [Integer]
      # @param env [Hash]
      # @param volumes [Hash] of paths in the guest: {Mount}, a name, or a path
      # @param network [Network, Hash, Symbol]
      # @param ports [Hash] of the host's to the guest's
      # @param secrets [Array<Secret, Hash>]
      # @param patches [Array<Patch, Hash>]
      # @param scripts [Hash] name to text, for the PATH of commands
      # @param ephemeral [Boolean] nothing is left when it ends
      # @param detached [Boolean] it outlives this process
      # @param replace [Boolean] one of the same name is removed before
      # @param on_progress [Proc] told of the pull, see {Image::PullProgress}
      # @return [Sandbox, nil] nil with start: false; with a block its value
      def create(name = nil, **options, &block)
        options = CreateOptions.new(name, options)
        sandbox = begin_life(options)
        block ? scoped(sandbox, &block) : sandbox
      end

      # The block form of {create}.
      def with(name = nil, **options, &block)
        raise ArgumentError, "with: a block is wanted" unless block

        create(name, **options, &block)
      end

      # Sandbox.builder("n").image("python").cpus(1).create
      # @return [SandboxBuilder]
      def builder(name = nil) = SandboxBuilder.new(name)

      # A handle of one that runs, whoever started it, once it is ready.
      # {GoneError}
      # @return [Sandbox]
      def open(name, home: nil)
        home = Home.of(home)
        ready(Native.sandbox_open(home.native, name), home, false)
      end
      alias connect open

      # Start one that is on record, and wait until it is ready.
      # @param secrets [Array<Secret, Hash>] values, of those on record
      # @return [Sandbox]
      def start(name, detached: false, secrets: nil, home: nil)
        home = Home.of(home)
        ready(Native.sandbox_start(home.native, name, { secrets: Secret.list(secrets) }), home, detached)
      end

      def start_detached(name, **options) = start(name, detached: true, **options)

      # Stop it, if it runs, and start it again.
      # @return [Sandbox]
      def restart(name, timeout: STOP_SECONDS, detached: false, secrets: nil, home: nil)
        home = Home.of(home)
        ready(Native.sandbox_restart(home.native, name, Convert.milliseconds(timeout || 0, "timeout"),
                                     { secrets: Secret.list(secrets) }), home, detached)
      end

      # What is on record, by name or id.
      # @return [SandboxRecord]
      def get(name, home: nil)
        home = Home.of(home)
        SandboxRecord.from_native(Native.sandbox_inspect(home.native, name), home)
      end

      # The same as {get}.
      def inspect(name = nil, home: nil)
        name ? get(name, home: home) : super()
      end

      # @param labels [Hash, Array<String>] those that have each: "KEY", "KEY=VALUE"
      # @return [Array<SandboxRecord>] by name
      def list(labels: nil, home: nil)
        home = Home.of(home)
        Native.sandbox_list(home.native, Convert.pairs(labels, "labels")).map do |info|
          SandboxRecord.from_native(info, home)
        end
      end

      # Remove it and all that was written in it.
      # @param force [Boolean] kill it if it runs
      def remove(name, force: false, home: nil)
        Native.sandbox_remove(Home.of(home).native, name, force ? 1 : 0)
      end

      # Change one, running or not: all or nothing.
      # @param dry_run [Boolean] only tell
      # @return [Array<Change>]
      def modify(name, home: nil, **options)
        Native.sandbox_modify(Home.of(home).native, name, modification(**options)).map { |c| Change.from_native(c) }
      end

      # What waits for its next start.
      # @return [Array<Change>]
      def pending(name, home: nil)
        Native.sandbox_pending(Home.of(home).native, name).map { |change| Change.from_native(change) }
      end

      # What it wrote, oldest first, running or not.
      # @param tail [Integer] only the last so many lines
      # @param since [Time]
      # @param sources [Array<Symbol>] stdout stderr output console system
      # @param session [Integer] only of this command
      # @return [Array<LogEntry>]
      def logs(name, home: nil, **options)
        entries = []
        Logs.each(Home.of(home), name, **options) { |entry| entries << entry }
        entries
      end

      # The same to the block or as an Enumerator, and what comes later, until
      # the machine has ended.
      def log_stream(name, home: nil, follow: true, **options, &block)
        return enum_for(:log_stream, name, home: home, follow: follow, **options) unless block

        Logs.each(Home.of(home), name, follow: follow, **options, &block)
        nil
      end

      private

      # What was begun and is not wanted any more leaves nothing behind; of one
      # that could not boot the record stays, if it is to be kept.
      def begin_life(options)
        native = id = sandbox = nil
        Thread.handle_interrupt(Object => :never) do
          Thread.handle_interrupt(Object => :immediate) do
            native = Native.sandbox_create(options.home.native, options.to_native)
            id = native&.id
            sandbox = ready(native, options.home, options.detached?) if native
          end
        rescue BootError, GoneError
          native = nil
          raise
        ensure
          abandon(native, id || native.id, options.home) if native && !sandbox
        end
        sandbox
      end

      def ready(native, home, detached)
        sandbox = new(native, home)
        sandbox.wait_ready
        sandbox.detach if detached
        done = true
        sandbox
      ensure
        native.close unless done
      end

      def abandon(native, id, home)
        native.close
        remove(id, force: true, home: home)
      rescue NotFoundError
        nil
      end

      def scoped(sandbox)
        yield sandbox
      ensure
        finish(sandbox) if sandbox
      end

      def finish(sandbox)
        sandbox.stop unless sandbox.closed?
      rescue GoneError, ClosedError
        nil
      ensure
        sandbox.close
      end

      def modification(dry_run: false, cpus: nil, memory: nil, memory_bytes: nil, env: nil, env_rm: nil, labels: nil,
                       labels_rm: nil, max_duration: nil, idle_timeout: nil, root_disk: nil, upper_bytes: nil,
                       secrets: nil, secrets_rm: nil, **texts)
        unknown = texts.keys - %i[workdir user hostname shell]
        Convert.invalid("there is no option #{unknown.first}") unless unknown.empty?
        { dry_run: dry_run, cpus: Convert.positive(cpus, "cpus"), env: Convert.pairs(env, "env"), env_rm: env_rm,
          memory_bytes: memory_bytes || Convert.size(memory, "memory"), labels: Convert.pairs(labels, "labels"),
          labels_rm: labels_rm, upper_bytes: upper_bytes || Convert.size(root_disk, "root_disk"),
          max_duration_s: limit(max_duration, "max_duration"), idle_timeout_s: limit(idle_timeout, "idle_timeout"),
          secrets: Secret.list(secrets), secrets_rm: secrets_rm, **texts }
      end

      # A number of seconds, or :none for no limit any more.
      def limit(value, what)
        %i[none unlimited].include?(value) ? -1 : Convert.seconds(value, what)
      end
    end
  end
end
