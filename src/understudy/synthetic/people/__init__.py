"""People of many shapes, their faces, clothes and motions."""
