# frozen_string_literal: true

require "mkmf"

# In the tree the header is where it is; a gem carries a copy.
roots = [File.join(__dir__, "include"), File.expand_path("../../../../include", __dir__)]
root = roots.find { |r| File.exist?(File.join(r, "microsandbox.h")) }
abort "microsandbox.h is missing beside extconf.rb" unless root

$INCFLAGS << " -I#{root}"
$CFLAGS << " -std=gnu17 -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter" \
           " -Wno-declaration-after-statement"
have_library("dl", "dlopen")
have_library("pthread", "pthread_create")
create_makefile("microsandbox/microsandbox")
