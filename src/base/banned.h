/*
 * banned.h - functions that have a safer replacement are compile errors.
 *
 * Numbers are parsed with num.h, strings are built with buf.h or snprintf().
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll strtol strtoul strtoll strtoull
#pragma GCC poison mktemp tmpnam

#endif
