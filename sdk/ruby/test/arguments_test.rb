# frozen_string_literal: true

require_relative "helper"
require "json"

# Nothing starts here: what is wrong raises before.
class ArgumentsTest < Minitest::Test
  include Helper

  def create(**options) = Sandbox.create("never", image: IMAGE, start: false, **options)

  WRONG_TYPES = {
    cpus: "2", memory: 1.5, env: "A=b", labels: 7, volumes: 1, patches: "x", secrets: {}, ports: 8080.5, network: 7,
    idle_timeout: "1m", workdir: 7, image: 7, user: nil, command: "ls", scripts: { "a" => 1 }, tls: []
  }.freeze

  def test_wrong_types
    WRONG_TYPES.each do |option, value|
      next if value.nil?

      assert_raises(TypeError, option) { create(**{ option => value }) }
    end
    assert_empty Sandbox.list
  end

  WRONG_VALUES = {
    cpus: [0, -1, (2**32) + 1, 65, 2**70], memory: [0, -5, 1, "12X", 2**60], name: [], no_such_option: [1],
    memory_bytes: [-1, 2**70], env: [{ "" => "x" }, { "A=B" => "x" }, { "A" => "a\0b" }], engine: [:vax],
    max_duration: [0, -1, 2**40], idle_timeout: [0.2], boot_timeout: [-1], hostname: ["a\0b"],
    ports: [{ 8080 => 70_000 }, ["80"], { 1 => "80/sctp" }], network: [:everything, { rule: [] }],
    volumes: [{ "relative" => "data" }, [{ kind: :cloud, target: "/x" }]], patches: [[{ kind: :sing, path: "/x" }]],
    secrets: [[{ env: "A", value: "v-v-v", hosts: [] }], [{ env: "A", colour: true }]], root_disk: [-1, "big"]
  }.freeze

  def test_wrong_values
    WRONG_VALUES.each do |option, values|
      values.each do |value|
        assert_raises(InvalidConfigError, "#{option}: #{value}") { create(**{ option => value }) }
      end
    end
    assert_empty Sandbox.list
  end

  def test_names_and_sources
    assert_raises(TypeError) { Sandbox.create(7, image: IMAGE) }
    ["", "../up", "a\0b", "x" * 129].each do |name|
      assert_raises(InvalidConfigError, name) { Sandbox.create(name, image: IMAGE, start: false) }
    end
    assert_raises(InvalidConfigError) { Sandbox.create("never") }
    assert_raises(InvalidConfigError) { Sandbox.create("never", image: IMAGE, from_snapshot: "x") }
  end

  def test_errors_are_typed
    error = assert_raises(SandboxNotFoundError) { Sandbox.get("nobody") }
    assert_kind_of NotFoundError, error
    assert_equal ["not_found", 3], [error.code_name, error.code]
    assert_raises(ImageNotFoundError) { Image.open("nothing") }
    assert_raises(VolumeNotFoundError) { Volume.get("nothing") }
    assert_raises(SnapshotNotFoundError) { Snapshot.get("nothing") }
    assert_raises(InvalidConfigError) { Image.pull("UPPER:case:twice") }
    assert_raises(NetworkError) { Image.pull("localhost:1/a/b", insecure: true) }
  end

  # One class for each code, by its number and name.
  def test_each_code_has_its_class
    Native.constants.grep(/\AMSB_ERR_(?!OR)/).each do |constant|
      number = Native.const_get(constant)
      name = Native.code_name(number)
      error = Error.from_native(number, name, 0, "m", "h", nil, nil)
      refute_instance_of Error, error, name
      assert_equal [number, name, "m", "h"], [error.class::CODE, error.class::CODE_NAME, error.message, error.hint]
    end
  end

  def test_short_forms_of_networks
    assert_equal({ flags: 1 }, Network.from(:none).to_native)
    assert_equal({ profile: "public,host", flags: 0 }, Network.from_profiles(:public, :host).to_native)
    short = Network.from({ allowed_hosts: ["a.io", "fd00::1"], allowed_ports: [443, 80] }).to_native
    assert_equal %w[allow@a.io:tcp:443 allow@a.io:tcp:80 allow@[fd00::1]:tcp:443 allow@[fd00::1]:tcp:80], short[:rules]
    assert_equal Network::ACTIONS[:deny], short[:default_egress]
  end

  def test_ports
    want = { host: 8080, guest: 80, flags: 0 }
    [{ 8080 => 80 }, ["8080:80"], [[8080, 80]]].each do |given|
      assert_equal [want], Network.from({ ports: given }).to_native[:ports]
    end
    bound = Network.from({ ports: ["[::1]:53:53/udp"] }).to_native[:ports]
    assert_equal [{ bind: "::1", host: 53, guest: 53, flags: 1 }], bound
  end

  def test_the_builder_says_what_create_takes
    builder = Sandbox.builder("b").image("i").cpus(2).memory(256).env("A", "b").env("C" => "d").port(8080, 80)
                     .volume("/data", Mount.named("v")).patch(Patch.mkdir("/x")).label("l").rlimit("nofile", 9)
                     .secret_env("K", "v", "h").ephemeral
    options = builder.build
    assert_equal ["i", 2, 256, { "A" => "b", "C" => "d" }, true],
                 options.values_at(:image, :cpus, :memory, :env, :ephemeral)
    assert_equal [{ host: 8080, guest: 80, udp: false, bind: nil }], options[:ports]
  end

  def test_a_secret_is_not_shown
    refute_includes Secret.env("K", value: "hidden-value", allow_hosts: ["h"]).inspect, "hidden-value"
  end

  def test_what_is_on_record
    create(env: { "A" => "1=2" }, labels: { "team" => "x" }, cpus: 2, memory: "128M", volumes: { "/t" => Mount.tmpfs })
    record = Sandbox.get("never")
    assert_equal ["created", 2, 128 << 20, { "A" => "1=2" }, { "team" => "x" }],
                 [record.state, record.cpus, record.memory_bytes, record.env, record.labels]
    assert_equal [[:tmpfs, "/t"]], (record.mounts.map { |m| m.values_at(:kind, :target) })
    assert_equal(%w[never], Sandbox.list(labels: { "team" => "x" }).map(&:name))
    assert_raises(SandboxAlreadyExistsError) { create }
    changes = record.modify(cpus: 3, labels: { "team" => "y" })
    assert_includes changes.map(&:field), "cpus"
  ensure
    Sandbox.remove("never") if Sandbox.list.any?
  end

  def test_doctor
    checks = Microsandbox.doctor
    assert_includes checks.map(&:name), "kernel"
    assert_equal Microsandbox.installed?, checks.all?(&:ok?)
    assert_match(/\A\d+\.\d+\.\d+\z/, Microsandbox.version)
  end
end

# What the header declares and what we read of it are the same.
class HeaderTest < Minitest::Test
  TOP = File.expand_path("..", __dir__)

  def test_the_tables_are_those_of_the_header
    assert system(RbConfig.ruby, File.join(TOP, "gen/generate.rb"), "--check")
  end

  def test_constants
    api = JSON.parse(File.read(File.join(TOP, "../api.json")))
    api["enums"].map { |enum| enum["values"] }.reduce(api["constants"], :merge).each do |name, value|
      assert_equal value, Microsandbox::Native.const_get(name)
    end
  end
end
