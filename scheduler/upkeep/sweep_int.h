/* Between sweep.c and reach.c. Private to the room. */
#ifndef WEIR_SCHEDULER_UPKEEP_SWEEP_INT_H
#define WEIR_SCHEDULER_UPKEEP_SWEEP_INT_H

#include "scheduler/upkeep/upkeep_int.h"

struct reaching {
    struct weir_lake *lake;
    json_t *names; /* object: name in the store -> true */
};

/* Adds what all snapshots of a table reach. */
weir_status reach_table(struct reaching *reaching, const struct weir_metadata *metadata,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
