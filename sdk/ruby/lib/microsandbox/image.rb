# frozen_string_literal: true

module Microsandbox
  # What sandboxes are made of.
  class Image
    POLICIES = { missing: 0, if_missing: 0, always: 1, never: 2 }.freeze
    ROOTS = { packed: 0, live: 1 }.freeze
    FORMATS = { docker: 0, oci: 1 }.freeze

    # How a pull goes on.
    PullProgress = Value.new(:kind, :reference, :digest, :layer, :layer_count, :done, :total, :cached) do
      # @private
      def self.from_native(hash)
        kind = %i[resolving resolved layer layer_done merging done][hash[:kind]]
        new(**hash.slice(*members), kind: kind, cached: hash[:cached] != 0).freeze
      end
    end

    class << self
      # Make an image usable: a reference, or a path of an archive, a folder or
      # a disk image. The block is told how it goes on.
      # @param policy [Symbol] :missing, :always or :never
      # @yieldparam progress [PullProgress]
      def pull(reference, policy: :missing, force: false, insecure: false, ca_certs: nil, platform: nil,
               downloads: nil, root: nil, home: nil, &progress)
        options = {
          policy: Convert.choice(POLICIES, policy, "policy"), force: force, insecure: insecure,
          ca_certs: ca_certs, platform: platform, downloads: Convert.positive(downloads, "downloads"),
          root: root && Convert.choice(ROOTS, root, "root")
        }
        new(Native.image_pull(Home.of(home).native, reference.respond_to?(:to_path) ? reference.to_path : reference,
                              options, &told(progress)))
      end

      # One that is here, by its reference or (the beginning of) its id.
      def open(reference, home: nil)
        new(Native.image_open(Home.of(home).native, reference))
      end
      alias get open

      # @return [Array<Image>] sorted by reference
      def list(home: nil)
        home = Home.of(home)
        Native.image_list(home.native).map { |info| new(nil, info, home) }
      end

      # What is known of one that is here.
      def inspect(reference = nil, home: nil)
        reference ? open(reference, home: home) : super()
      end

      # Read all images of an archive.
      # @return [Array<String>] references
      def load(path, tag: nil, home: nil, **options, &progress)
        Native.image_load(Home.of(home).native, Convert.path(path), tag, options, &told(progress))
      end

      # Write images to an archive that docker, podman and {load} read.
      def save(references, path, format: :docker, home: nil, &progress)
        options = { format: Convert.choice(FORMATS, format, "format") }
        Native.image_save(Home.of(home).native, Array(references), Convert.path(path), options, &told(progress))
      end

      # Drop the name; its content goes with a {prune} when nothing needs it.
      def remove(reference, home: nil)
        Native.image_remove(Home.of(home).native, reference)
      end

      # @return [Array<String>] names of sandboxes that are made of it
      def users(reference, home: nil)
        Native.image_users(Home.of(home).native, reference)
      end

      # Drop what no name reaches; with all: every name before.
      # @return [Array(Integer, Integer)] bytes freed, references removed
      def prune(all: false, home: nil)
        Native.image_prune(Home.of(home).native, all ? 1 : 0)
      end

      private

      def told(progress)
        progress && ->(event) { progress.call(PullProgress.from_native(event)) }
      end
    end

    # @private
    def initialize(native, info = nil, home = nil)
      @native = native
      @info = info || native.info
      @home = home
    end

    # @private
    def native
      @native ||= Native.image_open(@home.native, id.empty? ? reference : id)
    end

    %i[reference id platform size_bytes layer_count layers entrypoint cmd env workdir user stop_signal config_json
       config_digest].each do |name|
      define_method(name) { @info[name] }
    end

    # @return [Time, nil]
    def created_at
      Convert.time_of(@info[:created_unix])
    end

    # @return [Time, nil]
    def pulled_at
      Convert.time_of(@info[:pulled_unix])
    end

    # @return [Hash] all of it
    def to_h
      @info.dup
    end

    def close
      @native&.close
    end

    def inspect
      "#<#{self.class} #{reference}>"
    end
  end
end
