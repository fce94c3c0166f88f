"""A mesh without a skeleton: cleaned, turned as its picture shows it, rigged by that picture's joints."""
