"""
How a record names its product: `PRODUCT_FIELD` takes the name of a field, one of these shapes, or a function of yours.

A face of `api.products`, where the shapes are; the dotted path of a shape in a settings file ends here.
"""

from track360_django.api.products import Names, Record, Shape, apply, field, names_of, prefix, suffix

__all__ = ["Names", "Record", "Shape", "apply", "field", "names_of", "prefix", "suffix"]
