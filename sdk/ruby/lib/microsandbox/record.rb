# frozen_string_literal: true

module Microsandbox
  # One thing that {Sandbox.modify} changes, or that waits for the next start.
  Change = Value.new(:field, :before, :after, :effect) do
    # @private
    def self.from_native(hash)
      new(**hash.slice(*members), effect: hash[:effect].zero? ? :now : :next_start).freeze
    end
  end

  # What is on record of a sandbox, of whatever process, running or not. A
  # snapshot of that moment: {#reload} looks again. It means that one, by its id:
  # another that has its name now is never touched.
  SandboxRecord = Value.new(
    :name, :id, :image, :image_id, :state, :cpus, :memory_bytes, :engine, :accel, :walls, :boundary, :pid,
    :owner_pid, :labels, :env, :rlimits, :workdir, :user, :hostname, :entrypoint, :shell, :scripts, :init, :command,
    :mounts, :patches, :network, :secrets, :tls, :flags, :max_duration_s, :idle_timeout_s, :upper_bytes, :disk_bytes,
    :created_unix, :started_unix, :ended_unix, :created_ms, :started_ms, :ready_ms, :ended_ms, :end_reason,
    :end_message, :exit_code, :home
  )

  # Its functions.
  class SandboxRecord
    KEEP = 1
    DETACHED = 8
    private_constant :KEEP, :DETACHED

    class << self
      # @private
      def from_native(info, home)
        new(**info.slice(*members), state: Native.state_name(info[:state]), flags: flags(info[:flags]),
            labels: Convert.hash_of_pairs(info[:labels]), env: Convert.hash_of_pairs(info[:env]),
            mounts: info[:mounts].map { |mount| mount_of(mount) },
            secrets: info[:secrets].map { |secret| secret.slice(:env, :hosts, :source) }, home: home).freeze
      end

      private

      def flags(bits)
        [(:keep if bits & KEEP != 0), (:detached if bits & DETACHED != 0)].compact
      end

      def mount_of(mount)
        given = Mount::FLAGS.select { |_, flag| mount[:flags] & flag != 0 }.transform_values { true }
        { kind: Mount::KINDS.key(mount[:kind]), source: mount[:source], target: mount[:target],
          size_bytes: mount[:size_bytes], quota_bytes: mount[:quota_bytes], **given }
      end
    end

    def running? = %w[starting running].include?(state)
    # Whether it stays when it ends.
    def kept? = flags.include?(:keep)
    def detached? = flags.include?(:detached)
    def created_at = Convert.time_of(created_ms, ms: 1000)
    def started_at = Convert.time_of(started_ms, ms: 1000)
    def ended_at = Convert.time_of(ended_ms, ms: 1000)

    # As the Rust system's SDK has it.
    def status = state

    # @return [SandboxRecord] what is known now
    def reload = Sandbox.get(id, home: home)

    # @return [Sandbox] a handle of one that runs
    def open = Sandbox.open(id, home: home)
    alias connect open

    # @return [Sandbox]
    def start(**options) = Sandbox.start(id, home: home, **options)
    def restart(**options) = Sandbox.restart(id, home: home, **options)
    def stop(**options) = with_open { |sandbox| sandbox.stop(**options) }
    def kill = with_open(&:kill)
    def remove(**options) = Sandbox.remove(id, home: home, **options)
    def modify(**options) = Sandbox.modify(id, home: home, **options)
    def pending = Sandbox.pending(id, home: home)
    def logs(**options) = Sandbox.logs(id, home: home, **options)
    def metrics = with_open(&:metrics)
    # @return [Snapshot]
    def snapshot(as, **options) = Snapshot.create(id, as, home: home, **options)

    def inspect
      "#<#{self.class} #{name} #{state}>"
    end

    private

    def with_open
      sandbox = open
      yield sandbox
    ensure
      sandbox&.close
    end
  end
end
