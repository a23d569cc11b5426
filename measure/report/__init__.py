"""How results are shown: one table or plot, and every form in which it goes out."""
