# frozen_string_literal: true

module Microsandbox
  # What was written in a sandbox, kept under a name: sandboxes start from it
  # by `from_snapshot:`.
  Snapshot = Value.new(:name, :digest, :image, :image_id, :sandbox, :parent, :content, :size_bytes, :used_bytes,
                       :created_ms, :labels, :path)

  # Its functions; a Snapshot is what is known of one.
  class Snapshot
    REPLACE = 1
    INTEGRITY = 2
    WITH_IMAGE = 1
    PLAIN = 2

    class << self
      # Of a sandbox that does not run. The block is told of files and bytes.
      # @param integrity [Boolean] digest of the content, too: reads it all
      # @return [Snapshot]
      def create(sandbox, name, labels: nil, replace: false, integrity: false, home: nil, &progress)
        home = Home.of(home)
        options = { labels: Convert.pairs(labels, "labels"),
                    flags: Convert.flags(REPLACE => replace, INTEGRITY => integrity) }
        sandbox = sandbox.name if sandbox.respond_to?(:name)
        Native.snapshot_create(home.native, sandbox, name, options, &progress)
        get(name, home: home)
      end

      # By name or (the beginning of) its digest.
      # @return [Snapshot]
      def get(name, home: nil)
        Convert.wrong_type("name", "a String", name) unless name.is_a?(String)
        from_native(Native.snapshot_list(Home.of(home).native, name).first)
      end
      alias open get

      # @return [Array<Snapshot>]
      def list(home: nil)
        Native.snapshot_list(Home.of(home).native, nil).map { |info| from_native(info) }
      end

      # Read it all and compare: {DigestError}.
      def verify(name, home: nil)
        Native.snapshot_verify(Home.of(home).native, name)
      end

      def remove(name, home: nil)
        Native.snapshot_remove(Home.of(home).native, name)
      end

      # One portable file.
      def save(name, path, with_image: false, plain: false, home: nil)
        flags = Convert.flags(WITH_IMAGE => with_image, PLAIN => plain)
        Native.snapshot_save(Home.of(home).native, name, Convert.path(path), flags)
      end

      # @return [String] its name
      def load(path, name: nil, home: nil)
        Native.snapshot_load(Home.of(home).native, Convert.path(path), name)
      end

      # @return [Image] what it was written over
      def image(name, home: nil)
        Image.new(Native.snapshot_image(Home.of(home).native, name))
      end

      # @private
      def from_native(info)
        new(**info.slice(*members), labels: Convert.hash_of_pairs(info[:labels])).freeze
      end
    end

    # @return [Time, nil]
    def created_at
      Convert.time_of(created_ms, ms: 1000)
    end

    def verify(home: nil) = self.class.verify(digest, home: home)
    def remove(home: nil) = self.class.remove(name, home: home)
    def save(path, home: nil, **options) = self.class.save(name, path, home: home, **options)
  end
end
