/* The parts of the unit tests. Each runs at the level in use and returns how many checks failed. */
#ifndef SECAGG_TESTS_UNIT_H
#define SECAGG_TESTS_UNIT_H

#include "internal.h"
#include "tests/check.h"

int failures_of_ring(void);
int failures_of_masks(void);
int failures_of_fixed(void);
int failures_of_shamir(void);

#endif
