/* Which manifests and files cannot hold a wanted row: predicates against partition values, through
 * the transforms of each spec, and against column bounds. Spec: Iceberg "Scan Planning",
 * "Partition Transforms".
 *
 * A predicate is only a licence to skip, and so is everything concluded here: what is not surely
 * without wanted rows is kept. Bounds of other writers are believed only as far as they are known
 * to be right: strings may have been cut without being rounded up, uuids be in an order of their
 * own, days and months before 1970 be one too high. */
#ifndef WEIR_FORMATS_ICEBERG_PRUNE_H
#define WEIR_FORMATS_ICEBERG_PRUNE_H

#include "engine/vec/scan.h"
#include "formats/iceberg/manifest.h"

struct weir_prune;

/* Everything in the arena; wanted and predicates must outlive it. */
weir_status weir_prune_new(struct weir_arena *arena, const struct weir_type *wanted,
                           const struct weir_predicate *predicates, size_t predicate_count,
                           struct weir_prune **ret_prune,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Predicates projected through a spec's transforms; to be prepared before its manifests and files
 * are asked about. The same spec twice costs nothing. */
weir_status weir_prune_prepare(struct weir_prune *prune, const struct weir_partition_spec *spec,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* false: surely no wanted row. Specs that were not prepared tell nothing. */
bool weir_prune_manifest(const struct weir_prune *prune, const struct weir_manifest *manifest);
bool weir_prune_partition(const struct weir_prune *prune, const struct weir_data_file *file);
/* By column bounds and counts alone. */
bool weir_prune_columns(const struct weir_prune *prune, const struct weir_data_file *file);

/* Whether a bound's bytes can be a value of that type (NaN, wrong sizes and uuids are none). */
bool weir_bound_usable(const struct weir_type *type, const struct weir_bytes *bound);
/* Order of two single values of a type. */
int weir_value_compare(const struct weir_type *type, const struct weir_bytes *a,
                       const struct weir_bytes *b);
/* The other way of weir_value_binary: bytes of a single value -> a flat vector of one row. Values
 * written before a column was widened are widened. CORRUPT when the size is wrong. data NULL: null.
 */
weir_status weir_value_vector(struct weir_arena *arena, const struct weir_type *type,
                              const struct weir_bytes *bytes, struct weir_vector *ret_vector,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
