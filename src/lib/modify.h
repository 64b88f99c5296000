/* modify.h - what modify.c leaves in a sandbox's folder. */
#ifndef LIB_MODIFY_H
#define LIB_MODIFY_H

/*
 * The configuration of the machine that runs, while the record has another
 * one. A start removes it, under the folder's lock.
 */
#define MODIFY_ACTIVE_FILE "active"

#endif
