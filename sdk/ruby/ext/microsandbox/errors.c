/*
 * What the library says, and what is wrong with an argument, as exceptions;
 * which class it is, lib/microsandbox/errors.rb knows.
 */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>

static VALUE error_class(void)
{
	VALUE module = rb_const_get(rb_cObject, rb_intern("Microsandbox"));

	return rb_const_get(module, rb_intern("Error"));
}

void call_raise(const struct msb_error *error, const char *subject,
                VALUE detail)
{
	VALUE e = rb_funcall(error_class(), rb_intern("from_native"), 7,
	                     INT2NUM(error->code),
	                     text_of(lib.msb_code_name(error->code)),
	                     INT2NUM(error->sys_errno), text_of(error->message),
	                     text_of(error->hint), text_of(subject), detail);

	rb_exc_raise(e);
}

void call_raise_code(int code, const char *name, int sys_errno,
                     const char *message)
{
	VALUE e = rb_funcall(error_class(), rb_intern("from_native"), 7,
	                     INT2NUM(code), text_of(name), INT2NUM(sys_errno),
	                     text_of(message), text_of(""), Qnil, Qnil);

	rb_exc_raise(e);
}

void call_invalid(const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	call_raise_code(MSB_ERR_INVALID, "invalid", 0, message);
	__builtin_unreachable();
}
