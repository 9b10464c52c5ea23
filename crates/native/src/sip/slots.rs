//! Making objects of Python's frozen dataclasses without calling their `__init__`, which costs a microsecond each.
//!
//! This is what `object.__new__` and the setters of `__slots__` do, called by their C functions. CPython itself checks
//! with every call that a setter belongs to the object.
#![allow(unsafe_code)] // ADR 10: PyO3 has no safe way to either of the two functions

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// A class with `N` slots and nothing else.
pub struct Class<const N: usize> {
    class: Py<PyType>,
    slots: [Slot; N],
}

struct Slot {
    descriptor: PyObject,
    set: ffi::descrsetfunc,
}

impl<const N: usize> Class<N> {
    /// The class `name` of `module`; `slots` are all its slots. Raises TypeError when it is built in another way.
    pub fn load(module: &Bound<'_, PyModule>, name: &str, slots: [&str; N]) -> PyResult<Self> {
        let py = module.py();
        let class = module.getattr(name)?.downcast_into::<PyType>()?;
        let object = py.get_type::<PyAny>();
        let size = |class: &Bound<'_, PyType>| class.getattr("__basicsize__")?.extract::<usize>();
        let is_plain = class.getattr("__new__")?.is(&object.getattr("__new__")?)
            && size(&class)? == size(&object)? + N * size_of::<usize>();
        if !is_plain {
            return Err(PyTypeError::new_err(format!("{name} is no class with slots alone")));
        }
        let slots = slots.iter().map(|slot| Slot::load(&class, slot)).collect::<PyResult<Vec<_>>>()?;
        // As many as there are names; an array needs no look at its length later.
        let slots = slots.try_into().map_err(|_| PyTypeError::new_err("slots"))?;
        Ok(Self { class: class.unbind(), slots })
    }

    /// An object with these values in its slots, in the order in which they were named.
    pub fn make<'py>(&self, py: Python<'py>, values: [Bound<'py, PyAny>; N]) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the thread is attached to the interpreter, and `class` is a type that inherits `object.__new__`, which
        // does just this. The result is a new reference, or null with an exception set.
        let object = unsafe {
            let raw = ffi::PyType_GenericAlloc(self.class.as_ptr().cast(), 0);
            Bound::from_owned_ptr_or_err(py, raw)?
        };
        for (slot, value) in self.slots.iter().zip(values) {
            // SAFETY: `set` is the tp_descr_set of the descriptor's own type; all three are live objects. It takes its
            // own reference to the value, and answers -1 with an exception set if the object is of another class.
            let result = unsafe { (slot.set)(slot.descriptor.as_ptr(), object.as_ptr(), value.as_ptr()) };
            if result < 0 {
                return Err(PyErr::fetch(py));
            }
        }
        Ok(object)
    }
}

impl Slot {
    fn load(class: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        let descriptor = class.getattr(name)?;
        let kind = descriptor.get_type();
        if kind.name()? != "member_descriptor" {
            return Err(PyTypeError::new_err(format!("{name} is no slot")));
        }
        // SAFETY: `kind` is a type; since Python 3.10 its slots may be asked for whether it is a heap type or not.
        let set = unsafe { ffi::PyType_GetSlot(kind.as_type_ptr(), ffi::Py_tp_descr_set) };
        if set.is_null() {
            return Err(PyTypeError::new_err(format!("{name} cannot be set")));
        }
        // SAFETY: what is in this slot of a type is a descrsetfunc, and it is not null.
        let set = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::descrsetfunc>(set) };
        Ok(Self { descriptor: descriptor.unbind(), set })
    }
}
