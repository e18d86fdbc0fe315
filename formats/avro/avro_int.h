/* Shared between value.c, container.c and blocks.c. */
#ifndef WEIR_FORMATS_AVRO_AVRO_INT_H
#define WEIR_FORMATS_AVRO_AVRO_INT_H

#include "formats/avro/avro.h"

/* Values that `size` bytes may hold: an optional value is three for its bytes (record, union,
 * branch). */
#define AVRO_BUDGET(size) (3 * (size))

/* weir_avro_decode with a budget of values that lasts over many calls. */
weir_status avro_decode(struct weir_arena *arena, const struct weir_avro_type *type,
                        const uint8_t *data, size_t size, size_t *position, size_t *budget,
                        struct weir_avro_value *ret_value,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

enum avro_codec { AVRO_CODEC_NULL, AVRO_CODEC_DEFLATE, AVRO_CODEC_SNAPPY, AVRO_CODEC_ZSTD };
/* UNSUPPORTED: another one. */
weir_status avro_codec_find(struct weir_bytes name, enum avro_codec *ret_codec,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* The values of a block: in `block`, or as they are. */
weir_status avro_unpack(enum avro_codec codec, struct weir_bytes packed, struct weir_buffer *block,
                        struct weir_bytes *ret_values, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
