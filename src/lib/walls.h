/*
 * walls.h - which wall stands between a guest and its user, in words: one
 * text for inspect and doctor.
 */
#ifndef LIB_WALLS_H
#define LIB_WALLS_H

/*
 * @accel "kvm", "tcg" or "" (not known yet); @walls what the jail of the
 * machine's processes holds (NULL-terminated, may be empty). Never NULL.
 */
const char *walls_boundary(const char *accel, const char *const *walls);

#endif
