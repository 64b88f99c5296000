# frozen_string_literal: true

require "digest"
require "microsandbox"
require_relative "calls_sandbox"
require_relative "calls_exec"
require_relative "calls_fs"
require_relative "calls_store"

# The calls of the suite, a method each: "image.pull" is image_pull. An
# argument that a method does not name is an ArgumentError.
class Calls
  include Microsandbox
  include SandboxCalls
  include ExecCalls
  include FsCalls
  include StoreCalls

  # States as the suite has them.
  STATES = { "running" => "ready" }.freeze

  def initialize
    @handles = {}
    @lock = Mutex.new
  end

  def make(name, args)
    method = name.tr(".", "_")
    raise ArgumentError, "no call #{name}" unless name.match?(/\A[a-z]+(\.[a-z_]+)?\z/) && CALLS.include?(method)

    encode(public_send(method, **decode(args).transform_keys(&:to_sym)))
  end

  def close
    all = @lock.synchronize { @handles.values }
    all.each(&:close)
  end

  def version = { version: Microsandbox.version }
  def home = { path: Home.default.path }
  def doctor = { checks: Microsandbox.doctor.map(&:to_h) }
  def repair(dry_run: false) = { done: Microsandbox.repair(dry_run: dry_run) }

  def gc
    GC.start
    {}
  end

  CALLS = ([SandboxCalls, ExecCalls, FsCalls, StoreCalls].flat_map(&:public_instance_methods).map(&:to_s) +
           %w[version home doctor repair gc]).freeze

  private

  def keep(as, handle)
    @lock.synchronize do
      raise ArgumentError, "#{as} is given" if @handles.key?(as)

      @handles[as] = handle
    end
    handle
  end

  def at(as)
    @lock.synchronize { @handles.fetch(as) { raise ArgumentError, "no handle #{as}" } }
  end

  def drop(as)
    @lock.synchronize { @handles.delete(as) }&.close
    {}
  end

  def nothing
    yield
    {}
  end

  def seconds(milliseconds) = milliseconds && Rational(milliseconds, 1000)

  # {"base64": ...} is bytes.
  def decode(value)
    case value
    when Hash
      return value["base64"].unpack1("m") if value.keys == ["base64"]

      value.transform_values { |v| decode(v) }
    when Array then value.map { |v| decode(v) }
    else value
    end
  end

  def encode(value)
    case value
    when Hash then value.transform_values { |v| encode(v) }
    when Array then value.map { |v| encode(v) }
    when String then encode_text(value)
    when Symbol then value.to_s
    else value
    end
  end

  def encode_text(value)
    text = value.dup.force_encoding(Encoding::UTF_8)
    text.valid_encoding? ? text : { base64: [value].pack("m0") }
  end

  def symbols(hash) = hash.transform_keys(&:to_sym)
end
