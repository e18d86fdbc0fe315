/* Columns of files that are not what the schema says today: name mappings for files without field
 * ids, and the values of columns that files do not have. Spec: Iceberg "Column Projection", "Name
 * Mapping", "Default values", "Appendix D: JSON single-value serialization". */
#ifndef WEIR_FORMATS_ICEBERG_RESOLVE_H
#define WEIR_FORMATS_ICEBERG_RESOLVE_H

#include "engine/vec/vector.h"
#include "formats/iceberg/metadata.h"

/* A type of wanted's shape whose fields are named as the file names them: of the names that
 * `mapping` (the parsed schema.name-mapping.default) gives a field id, the one that the file has. A
 * field that is not mapped, or that the file lacks, gets a name that no file has. */
weir_status weir_name_mapping_apply(struct weir_arena *arena, const json_t *mapping,
                                    const struct weir_type *wanted, const struct weir_type *file,
                                    struct weir_type *ret_names,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* A JSON single value as a flat vector of one row. UNSUPPORTED for nested types that are not null.
 */
weir_status weir_value_from_json(struct weir_arena *arena, const struct weir_type *type,
                                 const json_t *json, struct weir_vector *ret_vector,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
