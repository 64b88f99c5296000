# frozen_string_literal: true

module Microsandbox
  # Something of the host, or memory, at a path of the guest. Made by
  # {Mount.bind}, {Mount.named}, {Mount.tmpfs} and {Mount.disk}, or the same of
  # {Volume}; the path in the guest is the key in `volumes:`, or `target:`.
  class Mount
    KINDS = { dir: 1, file: 2, named: 3, disk: 4, tmpfs: 5 }.freeze
    CACHES = { auto: 0, always: 1, none: 2 }.freeze
    FLAGS = { read_only: 1, noexec: 2, nosuid: 4, nodev: 8, create: 32, follow: 64 }.freeze
    OWNER = 16
    VOLUME_KINDS = { dir: 0, disk: 1 }.freeze

    class << self
      # A folder or file of the host.
      def bind(source, target = nil, **options)
        source = Convert.host_path(source)
        new(File.directory?(source) || !File.exist?(source) ? :dir : :file, target, source: source, **options)
      end

      # A volume by its name; with `create: true` it is made when it is missing.
      def named(name, target = nil, **options)
        new(:named, target, source: name, **options)
      end

      # Memory; size in MiB, or "64M".
      def tmpfs(target = nil, **options)
        new(:tmpfs, target, **options)
      end

      # A disk image with a file system.
      def disk(source, target = nil, **options)
        new(:disk, target, source: Convert.host_path(source), **options)
      end

      # Of what may stand for one: a Mount, a path or name of a volume, or a
      # Hash with a kind.
      # @private
      def from(value, target = nil)
        case value
        when Mount then target ? value.at(target) : value
        when String then (value.match?(%r{\A[./~]}) ? bind(File.expand_path(value), target) : named(value, target))
        when Hash then value = value.dup
                       new(value.delete(:kind), target || value.delete(:target), **value)
        else Convert.wrong_type("a volume", "a Mount, String or Hash", value)
        end
      end

      # `volumes:` and `mounts:`, as the library takes them.
      # @private
      def list(value, what)
        case value
        when nil then []
        when Hash then value.map { |target, mount| from(mount, target.to_s).to_native }
        when Array then value.map { |mount| from(mount).to_native }
        else Convert.wrong_type(what, "a Hash or Array", value)
        end
      end
    end

    # @param size [Integer, String] in MiB, or "64M"; quota likewise
    # @param owner [Array(Integer, Integer)] who all files belong to in the guest
    def initialize(kind, target = nil, source: nil, cache: nil, size: nil, size_bytes: nil, quota: nil,
                   quota_bytes: nil, owner: nil, mode: nil, format: nil, fstype: nil, volume_kind: nil, **flags)
      unknown = flags.keys - FLAGS.keys
      Convert.invalid("a mount has no option #{unknown.first}") unless unknown.empty?
      @native = {
        kind: Convert.choice(KINDS, kind, "kind of a mount"), target: target, source: source,
        flags: flags.sum { |name, given| given ? FLAGS.fetch(name) : 0 } | (owner ? OWNER : 0),
        cache: cache && Convert.choice(CACHES, cache, "cache"), mode: mode, format: format, fstype: fstype,
        size_bytes: size_bytes || Convert.size(size, "size"),
        quota_bytes: quota_bytes || Convert.size(quota, "quota"),
        uid: owner&.first, gid: owner&.last,
        volume_kind: volume_kind && Convert.choice(VOLUME_KINDS, volume_kind, "volume_kind")
      }.compact
    end

    # @return [Mount] the same at another path
    def at(target)
      other = dup
      other.instance_variable_set(:@native, @native.merge(target: target))
      other
    end

    # @private
    def to_native
      Convert.invalid("a mount has no path in the guest") unless @native[:target]
      @native
    end
  end
end
