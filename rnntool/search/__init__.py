"""From a model and a beginning to text: drawing, and searching for what is likeliest.

Works on ids.  A hypothesis is a row of a state; states are values, so drawing extends rows and searching indexes them.
"""
