# frozen_string_literal: true

module Microsandbox
  # Options of {Sandbox.create}, as the library takes them. Checked before
  # anything is pulled or started.
  # @private
  class CreateOptions
    KEEP = 1
    REPLACE = 2
    NO_START = 4
    ENGINES = { auto: 1, kvm: 2, qemu: 3 }.freeze
    ACCELS = { tcg: 1, kvm: 2, auto: 3 }.freeze
    UPPERS = { disk: 0, tmpfs: 1 }.freeze
    PULL = %i[insecure ca_certs platform downloads force root].freeze
    # Passed on as they are.
    PLAIN = %i[hostname workdir shell entrypoint init init_args command boot_timeout_ms memory_bytes upper_bytes
               log_level].freeze
    KNOWN = (PLAIN + %i[
      image snapshot from_snapshot cpus memory root_disk upper boot_timeout engine accel labels max_duration idle_timeout
      replace replace_timeout ephemeral keep start detached env rlimits user scripts init_env cmd volumes mounts
      patches network ports vsock proxy secrets tls on_secret_violation pull_policy pull on_progress home
      allowed_hosts allowed_ports
    ]).freeze

    attr_reader :name, :home

    def initialize(name, options)
      unknown = options.keys - KNOWN
      Convert.invalid("there is no option #{unknown.first}") unless unknown.empty?
      Convert.wrong_type("name", "a String", name) unless name.nil? || name.is_a?(String)
      Convert.invalid("the name is empty") if name && name.empty?
      @name = name
      @o = options
      check_source
      @native = build
      @home = Home.of(options[:home])
    end

    # What msb_sandbox_create() takes; pulls the image if it is not there.
    def to_native
      image = pull
      image ? @native.merge(image: image.native) : @native
    end

    def start?
      @o[:start] != false
    end

    def detached?
      @o[:detached] ? true : false
    end

    private

    def check_source
      image = @o[:image]
      Convert.invalid("an image or a snapshot is wanted") unless image || snapshot
      Convert.invalid("an image and a snapshot are too much") if image && snapshot
      return if image.nil? || image.is_a?(String) || image.is_a?(Image) || image.respond_to?(:to_path)

      Convert.wrong_type("image", "a String or Image", image)
    end

    def snapshot
      snapshot = @o[:from_snapshot] || @o[:snapshot]
      snapshot.is_a?(Snapshot) ? snapshot.digest : snapshot
    end

    def pull
      image = @o[:image]
      return image if image.nil? || image.is_a?(Image)

      Image.pull(image, policy: @o[:pull_policy] || :missing, home: @home, **(@o[:pull] || {}), &@o[:on_progress])
    end

    def build
      { name: @name, snapshot: snapshot, flags: flags, **size, **life, **process, **storage, **outside,
        **@o.slice(*PLAIN).compact }.compact
    end

    # Kept when it has a name, as long as nobody says otherwise.
    def flags
      keep = @o.fetch(:keep) { @o.key?(:ephemeral) ? !@o[:ephemeral] : !@name.nil? }
      Convert.flags(KEEP => keep, REPLACE => @o[:replace], NO_START => !start?)
    end

    def size
      { cpus: Convert.positive(@o[:cpus], "cpus"), memory_bytes: Convert.size(@o[:memory], "memory"),
        engine: @o[:engine] && Convert.choice(ENGINES, @o[:engine], "engine"),
        accel: @o[:accel] && Convert.choice(ACCELS, @o[:accel], "accel"), **root_disk }.compact
    end

    # 8192, "8G", "tmpfs:2G"
    def root_disk
      text = @o[:root_disk]
      upper = @o[:upper] && Convert.choice(UPPERS, @o[:upper], "upper")
      if text.is_a?(String) && text.start_with?("tmpfs")
        upper = UPPERS[:tmpfs]
        text = text.delete_prefix("tmpfs").delete_prefix(":")
        text = nil if text.empty?
      end
      { upper: upper, upper_bytes: Convert.size(text, "root_disk") }
    end

    def life
      { boot_timeout_ms: @o[:boot_timeout] && Convert.milliseconds(@o[:boot_timeout], "boot_timeout"),
        max_duration_s: Convert.seconds(@o[:max_duration], "max_duration"),
        idle_timeout_s: Convert.seconds(@o[:idle_timeout], "idle_timeout"),
        replace_timeout_ms: @o[:replace_timeout] && Convert.milliseconds(@o[:replace_timeout], "replace_timeout"),
        labels: Convert.pairs(@o[:labels], "labels") }.compact
    end

    def process
      { env: Convert.pairs(@o[:env], "env"), rlimits: Convert.rlimits(@o[:rlimits]),
        scripts: Convert.pairs(@o[:scripts], "scripts"), command: @o[:cmd], user: @o[:user]&.to_s,
        init_env: Convert.pairs(@o[:init_env], "init_env") }.compact
    end

    def storage
      mounts = Mount.list(@o[:volumes], "volumes") + Mount.list(@o[:mounts], "mounts")
      { mounts: mounts.empty? ? nil : mounts, patches: Patch.list(@o[:patches]) }.compact
    end

    def outside
      { network: network, secrets: Secret.list(@o[:secrets]),
        tls: Tls.from(@o[:tls], @o[:on_secret_violation]) }.compact
    end

    def network
      extras = @o.slice(:ports, :vsock, :proxy).compact
      hosts = @o.slice(:allowed_hosts, :allowed_ports).compact
      return nil if @o[:network].nil? && extras.empty? && hosts.empty?

      base = @o[:network].nil? ? Network.new(**hosts) : Network.from(@o[:network])
      base.with(**extras).to_native
    end
  end
  private_constant :CreateOptions
end
