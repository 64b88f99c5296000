/* trap.h - between the library's own files. */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

void trap_tables(void); /* make the IDT, and load it */
void trap_load(void);

#endif
