#include <errno.h>

#include "guest/files_op.h"

#include "base/banned.h"

int files_op_upper_read(struct files_op *op, struct err *err)
{
	(void)op;
	return err_set(err, -EOPNOTSUPP, "no upper");
}
