/* Functions: number. */
#include "engine/expr/function_int.h"

const struct weir_function functions_number[] = {
    {0},
};
