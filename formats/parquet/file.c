/* A Parquet file opened: its footer, read and checked once, and what that tells. */
#include "formats/parquet/scan_int.h"

#include <string.h>

#define FOOTER_END  8           /* length and magic */
#define FOOTER_READ (32u << 10) /* most footers come with the first read */

weir_status parquet_read_exactly(const struct weir_parquet_source *source, uint64_t offset,
                                 uint64_t size, struct weir_buffer *out, struct weir_error *reterr)
{
    size_t before = out->size;
    if (offset > source->size || size > source->size - offset)
        return weir_fail(reterr, WEIR_CORRUPT, "byte %llu: %llu bytes are wanted of a file of %llu",
                         (unsigned long long)offset, (unsigned long long)size,
                         (unsigned long long)source->size);
    WEIR_TRY(source->read(source->self, offset, size, out, reterr));
    if (out->size - before != size)
        return weir_fail(reterr, WEIR_IO, "asked for %llu bytes at %llu, got %zu",
                         (unsigned long long)size, (unsigned long long)offset, out->size - before);
    return WEIR_OK;
}

static weir_status read_footer(struct weir_parquet_file *self, struct weir_error *reterr)
{
    uint64_t size = self->source.size, last = size < FOOTER_READ ? size : FOOTER_READ;
    uint32_t length;
    if (size < 4 + FOOTER_END)
        return weir_fail(reterr, WEIR_CORRUPT, "%llu bytes are no Parquet file",
                         (unsigned long long)size);
    WEIR_TRY(parquet_read_exactly(&self->source, size - last, last, &self->footer, reterr));
    const uint8_t *end = self->footer.data + last - FOOTER_END;
    if (memcmp(end + 4, PARQUET_MAGIC, 4) != 0)
        return weir_fail(reterr, memcmp(end + 4, "PARE", 4) == 0 ? WEIR_UNSUPPORTED : WEIR_CORRUPT,
                         memcmp(end + 4, "PARE", 4) == 0 ? "byte %llu: the footer is encrypted"
                                                         : "byte %llu: no PAR1 at the end",
                         (unsigned long long)(size - 4));
    memcpy(&length, end, 4);
    if (length > size - 4 - FOOTER_END)
        return weir_fail(reterr, WEIR_CORRUPT, "byte %llu: a footer of %u bytes in a file of %llu",
                         (unsigned long long)(size - FOOTER_END), length, (unsigned long long)size);
    const uint8_t *footer = end - length;
    if (length > last - FOOTER_END) {
        weir_buffer_clear(&self->footer);
        WEIR_TRY(parquet_read_exactly(&self->source, size - FOOTER_END - length, length,
                                      &self->footer, reterr));
        footer = self->footer.data;
    }
    WEIR_TRY(parquet_meta_parse(&self->arena, footer, length, size - FOOTER_END - length,
                                &self->meta, reterr));
    return parquet_type_make(&self->arena, &self->meta, &self->type, reterr);
}

weir_status weir_parquet_file_open(struct weir_account *account, struct weir_parquet_source source,
                                   struct weir_parquet_file **ret_file, struct weir_error *reterr)
{
    struct weir_parquet_file *self;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->account = account;
    self->source = source;
    self->footer.account = account;
    weir_arena_init(&self->arena, account);
    self->source.name = NULL;
    weir_status status = read_footer(self, reterr);
    if (status == WEIR_OK && source.name) {
        char *name;
        status = weir_arena_copy(&self->arena, source.name, strlen(source.name), &name, reterr);
        self->source.name = status == WEIR_OK ? name : NULL;
    }
    if (status != WEIR_OK)
        weir_parquet_file_free(self);
    else
        *ret_file = self;
    return status;
}

void weir_parquet_file_free(struct weir_parquet_file *file)
{
    if (!file)
        return;
    weir_buffer_done(&file->footer);
    weir_arena_done(&file->arena);
    weir_free(file);
}

const struct weir_type *weir_parquet_file_type(const struct weir_parquet_file *file)
{
    return &file->type;
}

bool weir_parquet_file_has_ids(const struct weir_parquet_file *file)
{
    return file->meta.has_ids;
}

uint64_t weir_parquet_file_rows(const struct weir_parquet_file *file)
{
    return file->meta.row_count;
}

size_t weir_parquet_file_group_count(const struct weir_parquet_file *file)
{
    return file->meta.group_count;
}

uint64_t weir_parquet_file_group_rows(const struct weir_parquet_file *file, size_t group)
{
    return file->meta.groups[group].row_count;
}

uint64_t weir_parquet_file_group_first(const struct weir_parquet_file *file, size_t group)
{
    return file->meta.groups[group].first_row;
}
