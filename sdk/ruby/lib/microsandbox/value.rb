# frozen_string_literal: true

module Microsandbox
  # A value with named members, made of what the library tells; members that
  # are not known are left out, so that a newer library does no harm.
  # @private
  module Value
    def self.new(*names, &body)
      Struct.new(*names, keyword_init: true) do
        extend Value
        class_eval(&body) if body
      end
    end

    def from_native(hash)
      new(**hash.slice(*members)).freeze
    end
  end
  private_constant :Value
end
