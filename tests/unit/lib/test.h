/* test.h - cmocka and what it must have before it. */
#ifndef TEST_LIB_TEST_H
#define TEST_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#endif
