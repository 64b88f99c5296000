# frozen_string_literal: true

require "json"

# Functions about the host, and about sandboxes by name.
module Microsandbox
  # One finding of {doctor}: status is :ok, :info, :warn or :fail.
  Check = Value.new(:name, :status, :message, :fix) do
    # @private
    def self.from_native(hash)
      new(**hash, status: %i[ok info warn fail].fetch(hash[:status], :fail)).freeze
    end

    def ok? = status != :fail
  end

  class << self
    # Of the library.
    # @return [String]
    def version = Native.version

    # Look at everything that a sandbox needs.
    # @return [Array<Check>]
    def doctor(home: nil)
      Native.doctor(home_path(home)).map { |check| Check.from_native(check) }
    end

    # Whether the library is here, and sandboxes can run.
    def installed?
      doctor.all?(&:ok?)
    rescue InstallError
      false
    end

    # Everything comes with the gem: says what is missing, if anything is.
    # @return [true] or {InstallError}, with the next step
    def install
      bad = doctor.find { |check| !check.ok? }
      raise InstallError.new("#{bad.name}: #{bad.message}", hint: bad.fix) if bad

      true
    end

    # Bring the record of sandboxes back.
    # @return [Array<String>] what was done
    def repair(dry_run: false, home: nil) = Native.repair(home_path(home), dry_run ? 1 : 0)

    # What was written in a sandbox becomes one more layer over its image.
    # @param changes [Array<String>] as in a Dockerfile: 'CMD ["sh"]', "ENV A=b"
    # @return [String] the new image's id
    def commit(sandbox, reference, author: nil, message: nil, changes: nil, home: nil)
      Native.image_commit(Home.of(home).native, sandbox, reference,
                          { author: author, message: message, changes: changes })
    end

    # Which rule decides when a sandbox connects somewhere, and why.
    # @return [Hash]
    def net_explain(sandbox, host, port: 0, protocol: nil, home: nil)
      JSON.parse(Native.net_explain(Home.of(home).native, sandbox, host, port, protocol&.to_s))
    end

    # The rules in the order in which they are asked.
    # @return [Hash]
    def net_rules(sandbox, home: nil) = JSON.parse(Native.net_rules(Home.of(home).native, sandbox))

    # The published ports of one that runs.
    # @return [Array<Hash>] bind, host, guest, protocol
    def ports(sandbox, home: nil) = JSON.parse(Native.sandbox_ports(Home.of(home).native, sandbox))

    # Of all that run.
    # @return [Hash{String => Metrics}]
    def all_sandbox_metrics(home: nil)
      Sandbox.list(home: home).select(&:running?).to_h { |record| [record.name, record.metrics] }
    end

    private

    def home_path(home)
      case home
      when nil then nil
      when Home then home.path
      else Convert.path(home)
      end
    end
  end
end
