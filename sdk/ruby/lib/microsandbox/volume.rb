# frozen_string_literal: true

module Microsandbox
  # A folder or disk that outlives sandboxes, by its name.
  Volume = Value.new(:name, :path, :kind, :size_bytes, :used_bytes, :created_ms, :users, :in_use)

  # Its functions; a Volume is what is known of one.
  class Volume
    KINDS = Mount::VOLUME_KINDS

    class << self
      # @param kind [Symbol] :dir or :disk
      # @param size [Integer, String] MiB or "1G": a folder's quota, a disk's size
      # @return [Volume]
      def create(name, kind: :dir, size: nil, size_bytes: nil, home: nil)
        home = Home.of(home)
        options = { kind: Convert.choice(KINDS, kind, "kind"), size_bytes: size_bytes || Convert.size(size, "size") }
        Native.volume_create(home.native, name, options)
        get(name, home: home)
      end

      # Volume.builder("data").size(1024).create
      def builder(name)
        VolumeBuilder.new(name)
      end

      # @return [Volume]
      def get(name, home: nil)
        Convert.wrong_type("name", "a String", name) unless name.is_a?(String)
        of(Native.volume_list(Home.of(home).native, name).first)
      end

      # @return [Array<Volume>]
      def list(home: nil)
        Native.volume_list(Home.of(home).native, nil).map { |info| of(info) }
      end

      # @param force [Boolean] also when a sandbox on record mounts it
      def remove(name, force: false, home: nil)
        Native.volume_remove(Home.of(home).native, name, force ? 1 : 0)
      end

      # Remove all that no sandbox on record mounts.
      # @return [Array(Array<String>, Integer)] their names, bytes freed
      def prune(home: nil)
        Native.volume_prune(Home.of(home).native)
      end

      # Mounts, see {Mount}.
      def bind(...) = Mount.bind(...)
      def named(...) = Mount.named(...)
      def tmpfs(...) = Mount.tmpfs(...)
      def disk(...) = Mount.disk(...)

      private

      def of(info)
        new(**info.slice(*members), kind: KINDS.key(info[:kind]), in_use: info[:in_use] != 0).freeze
      end
    end

    # @return [Time, nil]
    def created_at
      Convert.time_of(created_ms, ms: 1000)
    end

    def remove(force: false, home: nil)
      self.class.remove(name, force: force, home: home)
    end
  end

  # @private
  class VolumeBuilder
    def initialize(name)
      @name = name
      @options = {}
    end

    %i[kind size size_bytes home].each do |option|
      define_method(option) do |value|
        @options[option] = value
        self
      end
    end
    alias quota size

    def create
      Volume.create(@name, **@options)
    end
  end
end
