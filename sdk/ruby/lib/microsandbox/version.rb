# frozen_string_literal: true

module Microsandbox
  VERSION = "0.1.0"
end
